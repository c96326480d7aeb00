"""Casts of network outputs to float32 before losses."""

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """`x` in float32 if it is in half precision, as network outputs under `torch.autocast` are; otherwise `x` itself.
    Losses, divergences and likelihoods are never computed in half precision. Micikevicius et al. 2018 (1710.03740)."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def without_autocast(x: Tensor) -> torch.autocast:
    """Context without autocast on the device of `x`: operations keep the precision of their operands."""
    return torch.autocast(x.device.type, enabled=False)
