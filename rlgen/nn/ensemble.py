"""Ensembles of perceptrons of the same shape: each layer is one batched matrix product."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.errors import problem


class EnsembleDense(nn.Module):
    """E dense layers: weights [E, I, J] and biases [E, 1, J], each initialized independently, as in `nn.Linear`."""

    def __init__(self, members: int, fan_in: int, fan_out: int):
        super().__init__()
        bound = 1 / math.sqrt(fan_in)
        self.weight = nn.Parameter(torch.empty(members, fan_in, fan_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, fan_out).uniform_(-bound, bound))

    def forward(self, inputs: Float[Tensor, "E B I"]) -> Float[Tensor, "E B J"]:
        return torch.baddbmm(self.bias, inputs, self.weight)


class EnsembleMLP(nn.Module):
    """`members` perceptrons of `sizes` (inputs first, outputs last) with `activation` between their layers."""

    def __init__(self, members: int, sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU):
        super().__init__()
        if members < 1 or len(sizes) < 2 or min(sizes) < 1:
            expected = "1 member or more and sizes of inputs and outputs, each 1 or more"
            raise problem(expected, f"{members} members of {list(sizes)}", "use e.g. 5 members of [11, 64, 8]")
        self.members = members
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers += [EnsembleDense(members, fan_in, fan_out), activation()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, inputs: Float[Tensor, "B I"] | Float[Tensor, "E B I"]) -> Float[Tensor, "E B O"]:
        """Outputs of each member for the same rows [B, I], or for separate rows [E, B, I]."""
        return self.layers(inputs.expand(self.members, -1, -1))
