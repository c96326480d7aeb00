"""Where networks of low precision hand over to equations."""

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """`x` in float32 if it is in half precision, as a network's output under `torch.autocast` is, else as it is.
    Losses, divergences and likelihoods are never computed in half precision. Micikevicius et al. 2018 (1710.03740)."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def without_autocast(x: Tensor) -> torch.autocast:
    """A block in which what is computed on the device of `x` keeps the precision of its operands."""
    return torch.autocast(x.device.type, enabled=False)
