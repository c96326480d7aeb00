"""Strided convolutions that halve or double images (Radford et al. 2016, 1511.06434, section 3)."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

from rlgen.errors import problem

KERNEL, STRIDE, PADDING = 4, 2, 1
"""Kernel size, stride and padding that halve or double even sizes exactly, with every pixel in the same number of
windows; the paper's code has 5 × 5 kernels."""
COARSEST = 7


def halvings(height: int, width: int) -> int:
    """Number of times that an image can be halved evenly until neither side is above 7: 28 → 14 → 7, 8 → 4, 64 → … →
    4."""
    count = 0
    while max(height, width) > COARSEST and height % 2 == width % 2 == 0:
        height, width, count = height // 2, width // 2, count + 1
    return count


def required_halvings(height: int, width: int) -> int:
    """`halvings`, for networks that require at least one; raises `InputError` for none."""
    times = halvings(height, width)
    if not times:
        got = f"{height} × {width}"
        raise problem("images of an even height and width, one of them 8 or more", got, "enlarge or crop the images")
    return times


def down(channels: Sequence[int], batch_norm: bool = True, slope: float = 0.2) -> list[nn.Sequential]:
    """Blocks that halve images, from channels[i] to channels[i + 1]: convolution, batch norm (not in the first block)
    and leaky ReLU."""
    blocks = []
    for index, (fan_in, fan_out) in enumerate(pairwise(channels)):
        norm = [nn.BatchNorm2d(fan_out)] if batch_norm and index else []
        convolution = nn.Conv2d(fan_in, fan_out, KERNEL, STRIDE, PADDING, bias=not norm)
        blocks.append(nn.Sequential(convolution, *norm, nn.LeakyReLU(slope)))
    return blocks


def up(channels: Sequence[int], norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> list[nn.Module]:
    """Layers that double images, from channels[i] to channels[i + 1], with batch norm and ReLU between them. `norm`:
    constructs another normalization layer for a number of channels."""
    layers: list[nn.Module] = []
    last = len(channels) - 2
    for index, (fan_in, fan_out) in enumerate(pairwise(channels)):
        layers.append(nn.ConvTranspose2d(fan_in, fan_out, KERNEL, STRIDE, PADDING, bias=index == last))
        if index < last:
            layers += [norm(fan_out), nn.ReLU()]
    return layers


@torch.no_grad()
def small_weights(network: nn.Module, std: float = 0.02) -> None:
    """Initialize weights from N(0, std²), scales of batch norms from N(1, std²), and biases with zero. Radford et al.
    2016, section 4 and released code."""
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
    """Initialize weights so that layers with leaky ReLU of negative slope `slope` preserve the variance of their
    inputs, and biases with zero. He et al. 2015 (1502.01852), eq. 15."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, slope)
            if module.bias is not None:
                module.bias.zero_()
