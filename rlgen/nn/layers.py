"""Layers that torch does not have, and small networks."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import problem

Activation = Literal["tanh", "relu", "elu", "silu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "elu": nn.ELU, "silu": nn.SiLU}
"""Activation functions by name."""


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


def normalized_layers(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> list[nn.Module]:
    """Linear layers of `sizes`, each followed by batch norm and `activation`. Ioffe & Szegedy 2015 (1502.03167)."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out, bias=False), nn.BatchNorm1d(fan_out), activation()]
    return layers


def split_head(network: nn.Module) -> tuple[nn.Sequential, nn.Linear]:
    """The layers before the last one, and the last one, sharing their parameters with `network`.

    Raises `InputError` unless `network` is an `nn.Sequential` that ends with a linear layer.
    """
    layers = list(network.children()) if isinstance(network, nn.Sequential) else []
    if not layers or not isinstance(layers[-1], nn.Linear):
        raise problem(
            "a network of layers in sequence (nn.Sequential) with a linear last layer",
            f"a {type(network).__name__}{f' that ends with {type(layers[-1]).__name__}' if layers else ''}",
            "put this penalty before those that wrap the complete network, or insert its module yourself",
        )
    return nn.Sequential(*layers[:-1]), layers[-1]


class SideBySide(nn.Module):
    """Applies `left` to the first `split` components of a row and `right` to the others: [..., I] → [..., L + R]."""

    def __init__(self, split: int, left: nn.Module, right: nn.Module):
        super().__init__()
        self.split, self.left, self.right = split, left, right

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        return torch.cat([self.left(x[..., : self.split]), self.right(x[..., self.split :])], -1)


class Maxout(nn.Module):
    """Maxout layer [..., fan_in] → [..., fan_out]: each output is the maximum of `pieces` linear functions. Goodfellow
    et al. 2013 (1302.4389), section 3."""

    def __init__(self, fan_in: int, fan_out: int, pieces: int):
        super().__init__()
        self.linear = nn.Linear(fan_in, fan_out * pieces)
        self.pieces = pieces

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        return self.linear(x).unflatten(-1, (-1, self.pieces)).amax(-1)


class MinibatchDiscrimination(nn.Module):
    """Minibatch discrimination [B, F] → [B, F + kernels]: appends for every kernel the sum over the batch of
    exp(-|difference|₁) in a learned projection. Salimans et al. 2016 (1606.03498), section 3.2.

    Pass real and generated rows separately. Rows influence each other, so do not combine it with a gradient penalty,
    and use the same batch size in evaluation.
    """

    def __init__(self, features: int, kernels: int, kernel_size: int):
        """`kernel_size`: dimension of a row's projection per kernel."""
        super().__init__()
        self.projection = nn.Parameter(torch.randn(features, kernels, kernel_size) / features**0.5)

    def forward(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B G"]:
        projected = full_precision(torch.einsum("bf,fkd->bkd", features, self.projection))
        distance = (projected[:, None] - projected[None]).abs().sum(-1)  # [B, B, kernels]
        return torch.cat([features, torch.exp(-distance).sum(1)], -1)


DIRECTION_STD = 0.1
"""Initial standard deviation of the directions' components. Their scale only affects how fast the directions change."""


class WeightNormLinear(nn.Module):
    """Linear layer with weight normalization: x v / |v| · length + bias, with a length and a direction v per output.
    Salimans & Kingma 2016 (1602.07868), eq. 2.

    `learn_length`: whether the length is learned; otherwise it keeps the value set by `standardize`.
    """

    length: Tensor

    def __init__(self, fan_in: int, fan_out: int, learn_length: bool = True):
        super().__init__()
        if min(fan_in, fan_out) < 1:
            raise problem("fan_in and fan_out of at least 1", f"{fan_in} and {fan_out}", "correct these")
        self.direction = nn.Parameter(DIRECTION_STD * torch.randn(fan_out, fan_in))
        self.bias = nn.Parameter(torch.zeros(fan_out))
        if learn_length:
            self.length = nn.Parameter(torch.ones(fan_out))
        else:
            self.register_buffer("length", torch.ones(fan_out))

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        # Outputs are scaled instead of weights, because there are fewer of them.
        return F.linear(x, self.direction) * (self.length / self.direction.norm(dim=1)) + self.bias


@torch.no_grad()
def standardize(layers: Iterable[nn.Module], rows: Tensor) -> None:
    """Set length and bias of every `WeightNormLinear` in `layers`, one after another, so that its outputs have mean 0
    and standard deviation 1. `rows` [B, ...] are the first layer's inputs. Salimans & Kingma 2016 (1602.07868), section
    3, eq. 5 and 6."""
    for layer in layers:
        if isinstance(layer, WeightNormLinear):
            std, mean = torch.std_mean(layer(rows), dim=0, correction=0)
            std = std.clamp(min=1e-6)  # for an output that does not vary
            layer.length.div_(std)
            layer.bias.sub_(mean).div_(std)
        rows = layer(rows)


Values = Float[Tensor, "*any"]


class GaussianNoise(nn.Module):
    """Adds noise N(0, std²) to every component in training, none in evaluation. Salimans et al. 2016 (1606.03498),
    section 6.1, add it to the output of each layer of the discriminator; the released code also to its inputs."""

    def __init__(self, std: float):
        super().__init__()
        if not 0 <= std < float("inf"):
            raise problem("a standard deviation of at least 0", f"{std}", "use 0 for no noise")
        self.std = std

    def forward(self, x: Values) -> Values:
        return x + self.std * torch.randn_like(x) if self.training and self.std else x

    def extra_repr(self) -> str:
        return f"{self.std}"


def activations(network: nn.Module) -> list[nn.Module]:
    """Every activation of `network`: torch's (Tanh, ReLU …) and `Maxout`."""
    return [
        part
        for part in network.modules()
        if isinstance(part, Maxout) or type(part).__module__ == "torch.nn.modules.activation"
    ]


@contextmanager
def dropout_after_activations(network: nn.Module, share: float) -> Iterator[None]:
    """Within the block, applies dropout with probability `share` to the outputs of every torch activation of `network`
    (Tanh, ReLU …) in each forward pass. Srivastava et al. 2014."""

    def drop(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        return F.dropout(output, share)

    hooks = [activation.register_forward_hook(drop) for activation in activations(network)] if share else []
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def full_precision(x: Tensor) -> Tensor:
    """`x` in float32 if it is in half precision, as network outputs under `torch.autocast` are; otherwise `x` itself.
    Losses, divergences and likelihoods are never computed in half precision. Micikevicius et al. 2018 (1710.03740)."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def without_autocast(x: Tensor) -> torch.autocast:
    """Context without autocast on the device of `x`: operations keep the precision of their operands."""
    return torch.autocast(x.device.type, enabled=False)


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
