"""Linear layers by length and direction of their weights (Salimans & Kingma 2016, 1602.07868)."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import problem

DIRECTION_STD = 0.1
"""Of the directions' numbers at the start; their size has no effect but on how fast they turn."""


class WeightNormLinear(nn.Module):
    """x v / |v| · length + bias, a length and a direction v for each number that comes out. Eq. 2 of the paper.

    `learn_length`: whether the length is learned as well, or stays as `standardise` leaves it.
    """

    length: Tensor

    def __init__(self, fan_in: int, fan_out: int, learn_length: bool = True):
        super().__init__()
        if min(fan_in, fan_out) < 1:
            raise problem("1 or more numbers in and out", f"{fan_in} and {fan_out}", "mend these")
        self.direction = nn.Parameter(DIRECTION_STD * torch.randn(fan_out, fan_in))
        self.bias = nn.Parameter(torch.zeros(fan_out))
        if learn_length:
            self.length = nn.Parameter(torch.ones(fan_out))
        else:
            self.register_buffer("length", torch.ones(fan_out))

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        # The numbers that come out are fewer than the weights: they are what is scaled.
        return F.linear(x, self.direction) * (self.length / self.direction.norm(dim=1)) + self.bias


@torch.no_grad()
def standardise(layers: Iterable[nn.Module], rows: Tensor) -> None:
    """Length and bias of every `WeightNormLinear` among `layers`, such that what it gives has mean 0 and deviation 1
    over `rows` [B, ...], the first layer's inputs, each layer after those before it. Salimans & Kingma 2016
    (1602.07868), section 3, eq. 5 and 6."""
    for layer in layers:
        if isinstance(layer, WeightNormLinear):
            std, mean = torch.std_mean(layer(rows), dim=0, correction=0)
            std = std.clamp(min=1e-6)  # of a number that never varies
            layer.length.div_(std)
            layer.bias.sub_(mean).div_(std)
        rows = layer(rows)
