"""Rotary position embedding of the queries and keys of attention."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

BASE = 10_000.0
"""Ratio of the longest wavelength to the shortest, of many components."""


def rotary_angles(positions: Int[Tensor, " T"], components: int, base: float = BASE) -> Float[Tensor, "T half"]:
    """Angles m θ_i of positions m, θ_i = base^(-2 (i - 1) / d) for i = 1 … d / 2 with d = `components`, radians,
    float32. Su et al. 2021 (RoFormer, 2104.09864), eq. 15."""
    exponents = torch.arange(0, components, 2, device=positions.device, dtype=torch.float32) / components
    return positions.float()[:, None] * base**-exponents


def rotated(x: Float[Tensor, "*batch T d"], angles: Float[Tensor, "T half"]) -> Float[Tensor, "*batch T d"]:
    """Pairs of components of x, each rotated by its angle: (x_1 cos - x_2 sin, x_2 cos + x_1 sin). The product of a
    query and a key then depends on their positions through the difference alone. Su et al. 2021 (RoFormer,
    2104.09864), eq. 34.

    Differs from the paper: component i is paired with i + d / 2 instead of its neighbor, because halves are contiguous
    in memory; for learned projections this is another order of their rows."""
    first, second = x.chunk(2, -1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)
