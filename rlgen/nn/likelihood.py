"""The spread of what a network predicts, as a parameter."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import problem


def inverse_softplus(positive: Tensor) -> Tensor:
    """ρ such that log(1 + exp ρ) is `positive`."""
    return positive + torch.log(-torch.expm1(-positive))


class LikelihoodStd(nn.Module):
    """A standard deviation for each output, learned with the network: `likelihood_std = module()` is [O].

    `floor` bounds it from below: outputs that the network predicts exactly would drive the density to infinity.
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
