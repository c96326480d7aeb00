"""Strided convolutions that halve and double images (Radford et al. 2016, 1511.06434, section 3)."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

from rlgen.errors import problem

KERNEL, STRIDE, PADDING = 4, 2, 1
"""Halves and doubles even sizes exactly, every pixel under as many windows; the paper's code has 5 × 5."""
COARSEST = 7


def halvings(height: int, width: int) -> int:
    """How often an image can be halved evenly until neither side is above 7: 28 → 14 → 7, 8 → 4, 64 → … → 4."""
    count = 0
    while max(height, width) > COARSEST and height % 2 == width % 2 == 0:
        height, width, count = height // 2, width // 2, count + 1
    return count


def required_halvings(height: int, width: int) -> int:
    """`halvings`, for networks that need one at least."""
    times = halvings(height, width)
    if not times:
        came = f"{height} × {width}"
        raise problem("images of an even height and width, one of them 8 or more", came, "enlarge or crop the images")
    return times


def down(channels: Sequence[int], batch_norm: bool = True, slope: float = 0.2) -> list[nn.Sequential]:
    """Blocks that halve: convolution, batch norm (not in the first block), leaky rectifier. From channels[i] to
    channels[i + 1]."""
    blocks = []
    for index, (fan_in, fan_out) in enumerate(pairwise(channels)):
        norm = [nn.BatchNorm2d(fan_out)] if batch_norm and index else []
        convolution = nn.Conv2d(fan_in, fan_out, KERNEL, STRIDE, PADDING, bias=not norm)
        blocks.append(nn.Sequential(convolution, *norm, nn.LeakyReLU(slope)))
    return blocks


def up(channels: Sequence[int], norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> list[nn.Module]:
    """Layers that double, batch norm and rectifier between them, none after the last. From channels[i] to
    channels[i + 1]. `norm`: makes another normalisation of so many channels."""
    layers: list[nn.Module] = []
    last = len(channels) - 2
    for index, (fan_in, fan_out) in enumerate(pairwise(channels)):
        layers.append(nn.ConvTranspose2d(fan_in, fan_out, KERNEL, STRIDE, PADDING, bias=index == last))
        if index < last:
            layers += [norm(fan_out), nn.ReLU()]
    return layers


@torch.no_grad()
def small_weights(network: nn.Module, std: float = 0.02) -> None:
    """Weights from N(0, std²), a batch norm's scale from N(1, std²), biases zero. Radford et al. 2016, section 4 and
    released code."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.weight.normal_(0, std)
            if module.bias is not None:
                module.bias.zero_()
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d) and module.affine:
            module.weight.normal_(1, std)
            module.bias.zero_()


@torch.no_grad()
def even_weights(network: nn.Module, slope: float = 0.2) -> None:
    """Weights by which numbers keep their size on the way through rectifiers that leak `slope`, biases zero. He et al.
    2015 (1502.01852), eq. 15."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, slope)
            if module.bias is not None:
                module.bias.zero_()
