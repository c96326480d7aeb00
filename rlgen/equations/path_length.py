"""How directly a policy reaches its goals. Anderson et al. 2018 (1807.06757)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def spl(success: Bool[Tensor, " E"], shortest: Float[Tensor, " E"], taken: Float[Tensor, " E"]) -> Float[Tensor, ""]:
    """SPL, success weighted by path length, from 0 to 1: mean over E episodes of S l / max(p, l), where S is 1 for a
    success, l the length of the `shortest` path and p that of the path `taken`, in the same unit. Anderson et al. 2018
    (1807.06757), definition of SPL."""
    return (success * shortest / torch.maximum(taken, shortest)).mean()
