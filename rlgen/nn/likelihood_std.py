"""Learned standard deviations of a network's likelihood: what it cannot predict, however much it learns."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import problem
from rlgen.nn.bayesian_dense import inverse_softplus
from rlgen.nn.layers import mlp


class LikelihoodStd(nn.Module):
    """A learned standard deviation for each output: `likelihood_std = module()` is [O].

    `floor` is its lower limit, because the density would diverge for outputs that the network predicts exactly.
    """

    def __init__(self, size: int, initial: float = 0.5, floor: float = 1e-2):
        super().__init__()
        self.floor = floor
        self.rho = nn.Parameter(torch.full((size,), initial_rho(initial, floor)))

    def forward(self, inputs: Float[Tensor, "B I"] | None = None) -> Float[Tensor, " O"]:
        """The same for all `inputs`."""
        return F.softplus(self.rho) + self.floor


class HeteroscedasticStd(nn.Module):
    """A learned standard deviation for each output that depends on the inputs: `module(inputs)` is [B, O].

    Nix & Weigend 1994 (Estimating the mean and variance of the target probability distribution). A perceptron of one
    hidden layer, which starts at `initial` everywhere.
    """

    def __init__(self, inputs: int, size: int, initial: float = 0.5, floor: float = 1e-2, hidden: int = 32):
        super().__init__()
        self.floor = floor
        self.network = mlp([inputs, hidden, size])
        last = self.network[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, initial_rho(initial, floor))

    def forward(self, inputs: Float[Tensor, "B I"]) -> Float[Tensor, "B O"]:
        return F.softplus(self.network(inputs)) + self.floor


def initial_rho(initial: float, floor: float) -> float:
    """The ρ with floor + log(1 + exp ρ) = initial."""
    if not 0 < floor < initial:
        expected = "0 < floor < initial standard deviation"
        raise problem(expected, f"floor {floor}, initial {initial}", "use e.g. 0.01 and 0.5")
    return inverse_softplus(torch.tensor(initial - floor, dtype=torch.float64)).item()
