"""Networks of StyleGAN2 (Karras et al. 2020, 1912.04958) for small images: a mapping network, modulated convolutions, a
generator with skip connections and a discriminator with residual ones.

Differs from the paper:

- Maps are halved by a box filter and doubled by linear interpolation (`rlgen.equations.gan_variants`).
- tanh after the last layer, because images are between 0 and 1.
- No standard deviation over the minibatch in the discriminator, because images would influence each other.
"""

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.conditioning import demodulation, modulated_convolution
from rlgen.equations.gan_variants import doubled, halved
from rlgen.nn.conv import FromTanh, ToTanh, required_halvings
from rlgen.nn.layers import full_precision
from rlgen.nn.quantized_discriminator import Parts

Maps = Float[Tensor, "B I H W"]
Convolved = Float[Tensor, "B O H W"]
Resized = Float[Tensor, "B O h w"]
Style = Float[Tensor, "B Z"]
SLOPE = 0.2
MAPPING_RATE = 0.01
"""Factor of the mapping network's learning rate."""


def activated(x: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """√2 · leaky ReLU: the output of a normal input has nearly its variance. Karras et al. 2020, appendix B."""
    return math.sqrt(2) * F.leaky_relu(x, SLOPE)


class EqualLinear(nn.Module):
    """A linear layer whose weights have unit variance initially and are scaled in every forward pass, so that Adam
    changes all layers at the same relative speed. Karras et al. 2018 (1710.10196), section 4.1."""

    def __init__(self, fan_in: int, fan_out: int, rate: float = 1.0, bias: float = 0.0):
        """`rate`: factor of the learning rate. `bias`: initial bias."""
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in) / rate)
        self.bias = nn.Parameter(torch.full((fan_out,), bias / rate))
        self.scale, self.rate = rate / math.sqrt(fan_in), rate

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        return F.linear(x, self.scale * self.weight, self.rate * self.bias)


class EqualConv(nn.Module):
    """A convolution of unchanged size with weights as in `EqualLinear`, without bias."""

    def __init__(self, fan_in: int, fan_out: int, size: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in, size, size))
        self.scale = 1 / math.sqrt(fan_in * size**2)

    def forward(self, maps: Maps) -> Convolved:
        return F.conv2d(maps, self.scale * self.weight, padding=self.weight.shape[-1] // 2)


class ActiveConv(EqualConv):
    """The same, then bias and activation."""

    def __init__(self, fan_in: int, fan_out: int, size: int):
        super().__init__(fan_in, fan_out, size)
        self.bias = nn.Parameter(torch.zeros(fan_out))

    def forward(self, maps: Maps) -> Convolved:
        return activated(super().forward(maps) + self.bias[:, None, None])


class Modulated(nn.Module):
    """A convolution of unchanged size that a style [B, Z] modulates; without bias."""

    def __init__(self, fan_in: int, fan_out: int, size: int, latent: int):
        super().__init__()
        self.style = EqualLinear(latent, fan_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(fan_out, fan_in, size, size))
        self.scale = 1 / math.sqrt(fan_in * size**2)

    def forward(self, maps: Maps, style: Style) -> Convolved:
        return modulated_convolution(maps, self.scale * self.weight, self.style(style))


class StyledConv(Modulated):
    """A modulated and demodulated convolution, then noise of a learned strength, bias and activation. Figure 2 (d)."""

    def __init__(self, fan_in: int, fan_out: int, latent: int):
        super().__init__(fan_in, fan_out, 3, latent)
        self.bias = nn.Parameter(torch.zeros(fan_out))
        self.noise = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Maps, style: Style) -> Convolved:
        scales, kernel = full_precision(self.style(style)), self.scale * self.weight
        hidden = modulated_convolution(maps, kernel, scales) * demodulation(kernel, scales)[..., None, None]
        noise = torch.randn_like(hidden[:, :1])  # new for every image and place, the same for all channels
        return activated(hidden + self.noise * noise + self.bias[:, None, None])


class ToImage(Modulated):
    """A modulated 1 × 1 convolution from feature maps to channels of an image, with bias."""

    def __init__(self, fan_in: int, channels: int, latent: int):
        super().__init__(fan_in, channels, 1, latent)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, maps: Maps, style: Style) -> Convolved:
        return super().forward(maps, style) + self.bias[:, None, None]


class Mapping(nn.Module):
    """From latents [B, Z], scaled to length √Z, to styles [B, Z]."""

    def __init__(self, latent: int, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(EqualLinear(latent, latent, MAPPING_RATE) for _ in range(layers))

    def forward(self, latents: Style) -> Style:
        hidden = latents * torch.rsqrt(latents.square().mean(-1, keepdim=True) + 1e-8)
        for layer in self.layers:
            hidden = activated(layer(hidden))
        return hidden


class StyleGAN2Generator(nn.Module):
    """A generator from latents [B, Z] to images [B, C, H, W] in [0, 1]: the sum of images of every size, doubled.

    It starts from learned maps of the coarsest size. One style modulates all layers (no style mixing). Noise is new in
    every forward pass, also in evaluation.
    """

    def __init__(self, channels: int, height: int, width: int, latent: int, filters: int, mapping_layers: int):
        """`filters`: channels of the largest maps; each coarser size has twice as many."""
        super().__init__()
        times = required_halvings(height, width)
        widths = [filters << index for index in range(times, -1, -1)]
        self.mapping = Mapping(latent, mapping_layers)
        self.start = nn.Parameter(torch.randn(widths[0], height >> times, width >> times))
        self.coarse = StyledConv(widths[0], widths[0], latent)
        pairs = list(pairwise(widths))
        self.doubling = nn.ModuleList(StyledConv(fan_in, fan_out, latent) for fan_in, fan_out in pairs)
        self.keeping = nn.ModuleList(StyledConv(fan_out, fan_out, latent) for _, fan_out in pairs)
        self.to_images = nn.ModuleList(ToImage(each, channels, latent) for each in widths)
        self.end = FromTanh()

    def forward(self, latents: Style) -> Resized:
        style = self.mapping(latents)
        maps = self.coarse(self.start.expand(len(latents), -1, -1, -1), style)
        images = self.to_images[0](maps, style)
        for first, second, to_image in zip(self.doubling, self.keeping, list(self.to_images)[1:], strict=True):
            maps = second(first(doubled(maps), style), style)
            images = doubled(images) + to_image(maps, style)
        return self.end(images)


class HalvingBlock(nn.Module):
    """A residual block that halves feature maps. Figure 7 (c)."""

    def __init__(self, fan_in: int, fan_out: int):
        super().__init__()
        self.first, self.second = ActiveConv(fan_in, fan_in, 3), ActiveConv(fan_in, fan_out, 3)
        self.shortcut = EqualConv(fan_in, fan_out, 1)

    def forward(self, maps: Maps) -> Resized:
        return (self.second(halved(self.first(maps))) + self.shortcut(halved(maps))) / math.sqrt(2)


class StyleGAN2Head(nn.Module):
    """Logits [B] of features [B, D, h, w]: a convolution, a hidden layer and a linear one."""

    def __init__(self, channels: int, height: int, width: int):
        super().__init__()
        self.convolution = ActiveConv(channels, channels, 3)
        self.hidden = EqualLinear(channels * height * width, channels)
        self.last = EqualLinear(channels, 1)

    def forward(self, maps: Maps) -> Float[Tensor, " B"]:
        return self.last(activated(self.hidden(self.convolution(maps).flatten(1)))).squeeze(-1)


def stylegan2_discriminator(channels: int, height: int, width: int, filters: int) -> Parts:
    """The parts of a discriminator with a block for each halving. Its first convolution has `filters` channels; each
    halving doubles them."""
    times = required_halvings(height, width)
    widths = [filters << index for index in range(times + 1)]
    halving = [HalvingBlock(fan_in, fan_out) for fan_in, fan_out in pairwise(widths)]
    first = nn.Sequential(ToTanh(), ActiveConv(channels, filters, 1), halving[0])
    return Parts([first, *halving[1:]], widths[1:], StyleGAN2Head(widths[-1], height >> times, width >> times))
