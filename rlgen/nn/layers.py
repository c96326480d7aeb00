"""Layers that torch does not have, and networks of a few."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import problem
from rlgen.nn.precision import full_precision

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    """Linear layers of `sizes` (inputs first, outputs last) with `activation` between them, none after the last.

    >>> mlp([3, 8, 1])
    Sequential(
      (0): Linear(in_features=3, out_features=8, bias=True)
      (1): Tanh()
      (2): Linear(in_features=8, out_features=1, bias=True)
    )
    """
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), activation()]
    return nn.Sequential(*layers[:-1])


def normalised_layers(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> list[nn.Module]:
    """Linear layers of `sizes`, each with batch norm and `activation` after it. Ioffe & Szegedy 2015 (1502.03167)."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out, bias=False), nn.BatchNorm1d(fan_out), activation()]
    return layers


def split_head(network: nn.Module) -> tuple[nn.Sequential, nn.Linear]:
    """Everything before the last layer, and that layer. They share their parameters with `network`."""
    layers = list(network.children()) if isinstance(network, nn.Sequential) else []
    if not layers or not isinstance(layers[-1], nn.Linear):
        raise problem(
            "a network whose layers stand in a row (nn.Sequential), the last of them linear",
            f"a {type(network).__name__}{f' that ends with {type(layers[-1]).__name__}' if layers else ''}",
            "put this penalty before those that wrap the network as a whole, or place its module by hand",
        )
    return nn.Sequential(*layers[:-1]), layers[-1]


class SideBySide(nn.Module):
    """The first `split` numbers of a row through `left`, the others through `right`: [..., I] to [..., L + R]."""

    def __init__(self, split: int, left: nn.Module, right: nn.Module):
        super().__init__()
        self.split, self.left, self.right = split, left, right

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        return torch.cat([self.left(x[..., : self.split]), self.right(x[..., self.split :])], -1)


class Maxout(nn.Module):
    """[..., fan_in] to [..., fan_out], each output the maximum of `pieces` linear ones. Goodfellow et al. 2013
    (1302.4389), section 3."""

    def __init__(self, fan_in: int, fan_out: int, pieces: int):
        super().__init__()
        self.linear = nn.Linear(fan_in, fan_out * pieces)
        self.pieces = pieces

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        return self.linear(x).unflatten(-1, (-1, self.pieces)).amax(-1)


class MinibatchDiscrimination(nn.Module):
    """[B, F] to [B, F + kernels]: for every kernel the sum over the batch of exp(-|difference|₁) in a learned
    projection. Salimans et al. 2016 (1606.03498), section 3.2.

    Real and generated rows go through apart. Rows influence one another, so it goes with no gradient penalty, and not
    with batches of another size in evaluation.
    """

    def __init__(self, features: int, kernels: int, kernel_size: int):
        """`kernel_size`: numbers of a row's projection per kernel."""
        super().__init__()
        self.projection = nn.Parameter(torch.randn(features, kernels, kernel_size) / features**0.5)

    def forward(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B G"]:
        projected = full_precision(torch.einsum("bf,fkd->bkd", features, self.projection))
        distance = (projected[:, None] - projected[None]).abs().sum(-1)  # [B, B, kernels]
        return torch.cat([features, torch.exp(-distance).sum(1)], -1)


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


Values = Float[Tensor, "*any"]


class GaussianNoise(nn.Module):
    """Adds N(0, std²) to every number in training, nothing in evaluation. Salimans et al. 2016 (1606.03498), section
    6.1: to the output of each layer of the discriminator; to its inputs too in the released code."""

    def __init__(self, std: float):
        super().__init__()
        if not 0 <= std < float("inf"):
            raise problem("a deviation of at least 0", f"{std}", "use 0 for no noise")
        self.std = std

    def forward(self, x: Values) -> Values:
        return x + self.std * torch.randn_like(x) if self.training and self.std else x

    def extra_repr(self) -> str:
        return f"{self.std}"


@contextmanager
def dropout_after_activations(network: nn.Module, share: float) -> Iterator[None]:
    """Within the block, zeroes `share` of the outputs of every activation of `network` (torch's own: Tanh, ReLU …) in
    each forward pass, and enlarges the others to make up. Srivastava et al. 2014."""

    def drop(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        return F.dropout(output, share)

    activations = [part for part in network.modules() if type(part).__module__ == "torch.nn.modules.activation"]
    hooks = [activation.register_forward_hook(drop) for activation in activations] if share else []
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
