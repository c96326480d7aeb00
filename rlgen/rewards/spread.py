"""What a log says of the bonuses of a rollout, which lie too far apart for a mean."""

import torch
from jaxtyping import Float
from torch import Tensor

SHARES = (10, 50, 90)
"""In 100, evenly apart."""


def spread_of(values: Float[Tensor, " B"]) -> Float[Tensor, "3"]:
    """The values that 10, 50 and 90 in 100 of them stay below."""
    low, _, high = SHARES
    return torch.quantile(values, torch.linspace(low / 100, high / 100, len(SHARES), device=values.device))


def named(name: str, spread: Float[Tensor, "3"]) -> dict[str, Tensor]:
    """For a log: `name_10`, `name_50`, `name_90`."""
    return {f"{name}_{share}": value for share, value in zip(SHARES, spread, strict=True)}
