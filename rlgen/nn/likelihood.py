"""The standard deviation of a network's likelihood, as a parameter."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import problem


def inverse_softplus(positive: Tensor) -> Tensor:
    """The ρ with log(1 + exp ρ) = `positive`."""
    return positive + torch.log(-torch.expm1(-positive))


class LikelihoodStd(nn.Module):
    """A learned standard deviation for each output: `likelihood_std = module()` is [O].

    `floor` is its lower limit, because the density would diverge for outputs that the network predicts exactly.
    """

    def __init__(self, size: int, initial: float = 0.5, floor: float = 1e-2):
        super().__init__()
        if not 0 < floor < initial:
            raise problem(
                "0 < floor < initial standard deviation", f"floor {floor}, initial {initial}", "use e.g. 0.01 and 0.5"
            )
        self.floor = floor
        self.rho = nn.Parameter(inverse_softplus(torch.full((size,), initial - floor)))

    def forward(self) -> Float[Tensor, " O"]:
        return F.softplus(self.rho) + self.floor
