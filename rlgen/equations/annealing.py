"""Schedules of the weight of a KL divergence."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def cyclical_weight(
    step: Int[Tensor, "*batch"], period: float, zero_share: float, rise_share: float
) -> Float[Tensor, "*batch"]:
    """β of the update after `step` others: within each cycle of `period` updates 0 for `zero_share` of it, then rising
    linearly for `rise_share`, then 1. Fu et al. 2019 (1903.10145), eq. 6 and 7; with a part at 0 Li et al. 2020
    (Optimus, 2004.04092), pre-training, where the shares are a half and a quarter.

    >>> cyclical_weight(torch.tensor([0, 50, 60, 75, 99, 100]), period=100, zero_share=0.5, rise_share=0.25)
    tensor([0.0000, 0.0000, 0.4000, 1.0000, 1.0000, 0.0000])
    """
    phase = torch.remainder(step / period, 1)
    return ((phase - zero_share) / rise_share).clamp(0, 1)
