"""Networks of U-GAT-IT (Kim et al. 2020, 1907.10830) for small images: attention by class activation maps, AdaLIN.

Differs from the paper: 3 × 3 convolutions with padding by zeros at both ends of the generator instead of 7 × 7 with
reflection, and scale and shift from the means of feature maps (its light version), because the images are small.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.conditioning import adaptive_layer_instance_norm, class_activation, layer_instance_norm
from rlgen.nn.conv import KERNEL, PADDING, STRIDE, FromTanh, ToTanh, required_halvings
from rlgen.nn.layers import full_precision
from rlgen.nn.patch_conv import PatchConv2d
from rlgen.nn.penalties import SpectralNorm
from rlgen.nn.quantized_discriminator import Parts

Maps = Float[Tensor, "B C H W"]
Resized = Float[Tensor, "B D h w"]
SLOPE = 0.2
DOMAIN_LOGITS = 2
"""Logits of the domain from class activation maps: from the means and from the maxima of feature maps."""


class Attention(nn.Module):
    """Feature maps weighted by their importance for a classifier of the domain, and that classifier's logits [B, 2].
    Figure 1: two linear classifiers, of the maps' means and of their maxima, whose weights are the importance."""

    def __init__(self, channels: int, slope: float = 0.0):
        """`slope`: negative slope of the activation."""
        super().__init__()
        self.of_mean, self.of_max = nn.Linear(channels, 1, bias=False), nn.Linear(channels, 1, bias=False)
        self.merge, self.slope = nn.Conv2d(2 * channels, channels, 1), slope

    def forward(self, maps: Maps) -> tuple[Maps, Float[Tensor, "B 2"]]:
        weights = self.of_mean.weight, self.of_max.weight  # read once: reading a spectral norm's weight changes it
        pooled = maps.mean((2, 3)), maps.amax((2, 3))
        logits = [F.linear(each, weight) for each, weight in zip(pooled, weights, strict=True)]
        attended = torch.cat([class_activation(maps, weight[0]) for weight in weights], 1)
        return F.leaky_relu(self.merge(attended), self.slope), full_precision(torch.cat(logits, -1))


class LayerInstanceNorm(nn.Module):
    """`layer_instance_norm` with a learned share of instance norm per channel, initially 0, and learned scale and
    shift."""

    def __init__(self, channels: int):
        super().__init__()
        self.instance_share = nn.Parameter(torch.zeros(channels))
        self.scale, self.shift = nn.Parameter(torch.ones(channels, 1, 1)), nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, maps: Maps) -> Maps:
        return layer_instance_norm(full_precision(maps), self.instance_share) * self.scale + self.shift


class AdaLIN(nn.Module):
    """`adaptive_layer_instance_norm` with a learned share of instance norm per channel, initially 0.9."""

    def __init__(self, channels: int):
        super().__init__()
        self.instance_share = nn.Parameter(torch.full((channels,), 0.9))

    def forward(self, maps: Maps, scale: Float[Tensor, "B C"], shift: Float[Tensor, "B C"]) -> Maps:
        return adaptive_layer_instance_norm(full_precision(maps), self.instance_share, scale, shift)


@torch.no_grad()
def clip_shares(network: nn.Module) -> None:
    """Clip the shares of instance norm to [0, 1], as after each step in section 2.1.1 of the paper."""
    for module in network.modules():
        if isinstance(module, AdaLIN | LayerInstanceNorm):
            module.instance_share.clamp_(0, 1)


class AdaptiveBlock(nn.Module):
    """A residual block of two 3 × 3 convolutions with AdaLIN."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.first_norm, self.second_norm = AdaLIN(channels), AdaLIN(channels)

    def forward(self, maps: Maps, scale: Float[Tensor, "B C"], shift: Float[Tensor, "B C"]) -> Maps:
        hidden = F.relu(self.first_norm(self.first(maps), scale, shift))
        return maps + self.second_norm(self.second(hidden), scale, shift)


class ResidualBlock(nn.Sequential):
    """A residual block of two 3 × 3 convolutions with instance norm."""

    def __init__(self, channels: int):
        first, second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        super().__init__(first, nn.InstanceNorm2d(channels), nn.ReLU(), second, nn.InstanceNorm2d(channels))

    def forward(self, maps: Maps) -> Maps:
        return maps + super().forward(maps)


class UGATITGenerator(nn.Module):
    """Translates images [B, C, H, W] in [0, 1] from one domain to the other; also returns the logits [B, 2] that they
    are from the first, which are those of its attention.

    Images are halved at most twice; `filters` channels before, twice as many after each halving. `blocks`: residual
    blocks before the attention, and blocks with AdaLIN after it.
    """

    def __init__(self, channels: int, height: int, width: int, filters: int, blocks: int):
        super().__init__()
        times = min(2, required_halvings(height, width))
        widths = [filters << index for index in range(times + 1)]
        coarsest = widths[-1]
        self.encoder = nn.Sequential(
            ToTanh(),
            *_normalized(nn.Conv2d(channels, filters, 3, padding=1, bias=False)),
            *(
                layer
                for fan_in, fan_out in pairwise(widths)
                for layer in _normalized(nn.Conv2d(fan_in, fan_out, KERNEL, STRIDE, PADDING, bias=False))
            ),
            *(ResidualBlock(coarsest) for _ in range(blocks)),
        )
        self.attention = Attention(coarsest)
        self.style = nn.Sequential(nn.Linear(coarsest, coarsest), nn.ReLU(), nn.Linear(coarsest, coarsest), nn.ReLU())
        self.scale, self.shift = nn.Linear(coarsest, coarsest), nn.Linear(coarsest, coarsest)
        self.blocks = nn.ModuleList(AdaptiveBlock(coarsest) for _ in range(blocks))
        self.decoder = nn.Sequential(
            *(
                layer
                for fan_in, fan_out in pairwise(reversed(widths))
                for layer in (
                    nn.Upsample(scale_factor=2),
                    nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False),
                    LayerInstanceNorm(fan_out),
                    nn.ReLU(),
                )
            ),
            nn.Conv2d(filters, channels, 3, padding=1),
            FromTanh(),
        )

    def forward(self, images: Maps) -> tuple[Maps, Float[Tensor, "B 2"]]:
        maps, logits = self.attention(self.encoder(images))
        style = self.style(maps.mean((2, 3)))
        scale, shift = full_precision(self.scale(style)), full_precision(self.shift(style))
        for block in self.blocks:
            maps = block(maps, scale, shift)
        return full_precision(self.decoder(maps)), logits


class AttentionHead(nn.Module):
    """From features [B, D, h, w] to logits [B, h · w + 2]: one for each patch, and the two of the attention, which are
    last."""

    def __init__(self, channels: int):
        super().__init__()
        self.attention = Attention(channels, SLOPE)
        self.patches = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, maps: Maps) -> Float[Tensor, "B P"]:
        attended, logits = self.attention(maps)
        return torch.cat([full_precision(self.patches(attended)).flatten(1), logits], 1)


def patch_discriminator(channels: int, filters: int, halvings: int) -> Parts:
    """The parts of a discriminator with a block for each halving and spectral norm in every layer. It has `filters`
    channels after the first block; each other block doubles them."""
    widths = [channels, *(filters << index for index in range(halvings))]
    blocks = [
        nn.Sequential(PatchConv2d(fan_in, fan_out, KERNEL, STRIDE, PADDING), nn.LeakyReLU(SLOPE))
        for fan_in, fan_out in pairwise(widths)
    ]
    blocks[0].insert(0, ToTanh())
    head = AttentionHead(widths[-1])
    for module in (*blocks, head):
        SpectralNorm().wrap(module)
    return Parts(blocks, widths[1:], head)


def _normalized(convolution: nn.Conv2d) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), nn.ReLU()]
