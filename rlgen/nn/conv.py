"""Convolutional networks that halve or double images: strided convolutions (Radford et al. 2016, 1511.06434, section
3), and encoders and decoders of autoencoders, without batch norm (Berthelot et al. 2017, BEGAN, 1703.10717, section
3.5)."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from rlgen.errors import problem
from rlgen.nn.patch_conv import PatchConv2d, PatchConvTranspose2d

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
        convolution = PatchConv2d(fan_in, fan_out, KERNEL, STRIDE, PADDING, bias=not norm)
        blocks.append(nn.Sequential(convolution, *norm, nn.LeakyReLU(slope)))
    return blocks


def up(channels: Sequence[int], norm: Callable[[int], nn.Module] = nn.BatchNorm2d) -> list[nn.Module]:
    """Layers that double images, from channels[i] to channels[i + 1], with batch norm and ReLU between them. `norm`:
    constructs another normalization layer for a number of channels."""
    layers: list[nn.Module] = []
    last = len(channels) - 2
    for index, (fan_in, fan_out) in enumerate(pairwise(channels)):
        layers.append(PatchConvTranspose2d(fan_in, fan_out, KERNEL, STRIDE, PADDING, bias=index == last))
        if index < last:
            layers += [norm(fan_out), nn.ReLU()]
    return layers


class ToTanh(nn.Module):
    """Maps [0, 1] to [-1, 1]."""

    def forward(self, images: Tensor) -> Tensor:
        return 2 * images - 1


class FromTanh(nn.Module):
    """Applies tanh and maps the result to [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.tanh() + 1) / 2


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


ELU_GAIN = 1.245
"""1 / √E[ELU(z)²] for normal z: layers with this gain preserve the standard deviation of their input. With PyTorch's
default initialization a thousandth of it is left in the code, and an autoencoder of dark images learns only to return
black."""


def encoder(channels: int, height: int, width: int, latent: int, filters: int) -> nn.Sequential:
    """A network from [B, C, H, W] to [B, Z], with a linear last layer. It has pairs of 3 × 3 convolutions with
    `filters`, then 2 · `filters` channels and so on; images are halved between the pairs until neither side is above
    7."""
    times = halvings(height, width)
    layers: list[nn.Module] = [nn.Conv2d(channels, filters, 3, padding=1), nn.ELU()]
    fan_in = filters
    for index in range(times + 1):
        fan_out = (index + 1) * filters
        layers += _pair(fan_in, fan_out)
        if index < times:
            layers += [nn.Conv2d(fan_out, fan_out, 3, stride=2, padding=1), nn.ELU()]
        fan_in = fan_out
    coarse = fan_in * (height >> times) * (width >> times)
    return _initialized(nn.Sequential(*layers, nn.Flatten(), nn.Linear(coarse, latent)))


def strided_encoder(channels: int, height: int, width: int, filters: int) -> tuple[nn.Sequential, int]:
    """A network from images [B, C, H, W] of any size to features [B, F], and F: the discriminator of Radford et al.
    2016 without batch norm and output layer. It has `filters`, then 2 · `filters` channels and so on; images are padded
    by zeros to sides that can be halved until neither is above 7, at least once."""
    times, coarse_height, coarse_width = _padded_halvings(height, width)
    padding = nn.ZeroPad2d((0, (coarse_width << times) - width, 0, (coarse_height << times) - height))
    channels_after = [channels, *(filters * 2**index for index in range(times))]
    network = nn.Sequential(padding, *down(channels_after, batch_norm=False), nn.Flatten())
    even_weights(network)
    return network, channels_after[-1] * coarse_height * coarse_width


def strided_decoder(channels: int, height: int, width: int, latent: int, filters: int) -> nn.Sequential:
    """A network from [B, Z] to images [B, C, H, W] of any size, with linear first and last layers: the layers of
    `strided_encoder` in reverse, cut to the size of the images."""
    times, coarse_height, coarse_width = _padded_halvings(height, width)
    channels_after = [filters * 2**index for index in reversed(range(times))]
    coarse = (channels_after[0], coarse_height, coarse_width)
    layers: list[nn.Module] = [nn.Linear(latent, math.prod(coarse)), nn.LeakyReLU(0.2), nn.Unflatten(-1, coarse)]
    for fan_in, fan_out in pairwise([*channels_after, channels]):
        layers += [PatchConvTranspose2d(fan_in, fan_out, KERNEL, STRIDE, PADDING), nn.LeakyReLU(0.2)]
    cut = nn.ZeroPad2d((0, width - (coarse_width << times), 0, height - (coarse_height << times)))
    network = nn.Sequential(*layers[:-1], cut)
    even_weights(network)
    return network


def _padded_halvings(height: int, width: int) -> tuple[int, int, int]:
    """Number of halvings, at least one, until neither side is above 7, and the sides then, rounded up."""
    times = max(1, math.ceil(math.log2(max(height, width) / COARSEST)))
    return times, -(-height // 2**times), -(-width // 2**times)


def decoder(channels: int, height: int, width: int, latent: int, filters: int) -> nn.Sequential:
    """A network from [B, Z] to [B, C, H, W], with linear first and last layers. It has pairs of 3 × 3 convolutions with
    `filters` channels; images are doubled between the pairs by nearest-neighbor upsampling."""
    times = halvings(height, width)
    coarse = (filters, height >> times, width >> times)
    layers: list[nn.Module] = [nn.Linear(latent, coarse[0] * coarse[1] * coarse[2]), nn.Unflatten(-1, coarse)]
    for index in range(times + 1):
        layers += _pair(filters, filters)
        if index < times:
            layers.append(nn.Upsample(scale_factor=2))
    return _initialized(nn.Sequential(*layers, nn.Conv2d(filters, channels, 3, padding=1)))


def _pair(fan_in: int, fan_out: int) -> list[nn.Module]:
    first, second = nn.Conv2d(fan_in, fan_out, 3, padding=1), nn.Conv2d(fan_out, fan_out, 3, padding=1)
    return [first, nn.ELU(), second, nn.ELU()]


def _initialized(network: nn.Sequential) -> nn.Sequential:
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=ELU_GAIN / fan_in**0.5)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network
