"""Networks of BigGAN (Brock et al. 2019, 1809.11096) for small images: residual blocks with spectral norm, batch norm
that depends on class and latent, and a projection discriminator (Miyato & Koyama 2018, 1802.05637).

Differs from the paper: no attention, as in its released code for CIFAR-10.
"""

from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.conditioning import projection_logit
from rlgen.errors import problem
from rlgen.nn.conv import FromTanh, ToTanh, required_halvings, small_weights
from rlgen.nn.penalties import SpectralNorm
from rlgen.nn.quantized_discriminator import Parts

Maps = Float[Tensor, "B C H W"]
Resized = Float[Tensor, "B D h w"]
Condition = Float[Tensor, "B K"]


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose scale and shift are linear functions of a condition [B, K]. de Vries et al. 2017 (1707.00683),
    section 3."""

    def __init__(self, channels: int, condition: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Linear(condition, channels, bias=False)
        self.shift = nn.Linear(condition, channels, bias=False)

    def forward(self, maps: Maps, condition: Condition) -> Maps:
        scale, shift = 1 + self.scale(condition), self.shift(condition)
        return self.norm(maps) * scale[..., None, None] + shift[..., None, None]


class UpBlock(nn.Module):
    """A residual block that doubles feature maps; figure 15 (b) of the paper."""

    def __init__(self, fan_in: int, fan_out: int, condition: int):
        super().__init__()
        self.first_norm = ConditionalBatchNorm(fan_in, condition)
        self.second_norm = ConditionalBatchNorm(fan_out, condition)
        self.first = nn.Conv2d(fan_in, fan_out, 3, padding=1)
        self.second = nn.Conv2d(fan_out, fan_out, 3, padding=1)
        self.shortcut = nn.Conv2d(fan_in, fan_out, 1)

    def forward(self, maps: Maps, condition: Condition) -> Resized:
        hidden = self.first(_doubled(F.relu(self.first_norm(maps, condition))))
        hidden = self.second(F.relu(self.second_norm(hidden, condition)))
        return hidden + _doubled(self.shortcut(maps))  # a 1 × 1 convolution commutes with the doubling


class BigGANGenerator(nn.Module):
    """A generator from latents [B, Z], and labels [B] if there are classes, to images [B, C, H, W] in [0, 1].

    The latent is split: the first part goes to the first layer, each other part to one block. A block's condition is
    its part and the embedding of the class, which all blocks share. Without classes it is the part alone.
    """

    def __init__(self, channels: int, height: int, width: int, latent: int, filters: int, n_classes: int = 0):
        """`filters`: channels after the last block; each block before has twice as many."""
        super().__init__()
        times = required_halvings(height, width)
        if latent <= times:
            raise problem(f"a latent of at least {times + 1} dimensions", f"{latent}", "use a larger latent")
        self.parts = times + 1
        sizes = [len(part) for part in torch.empty(latent).tensor_split(self.parts)]
        embedding = latent if n_classes else 0
        self.embedding = nn.Embedding(n_classes, embedding) if n_classes else None
        widths = [filters << index for index in range(times, -1, -1)]
        coarse = (widths[0], height >> times, width >> times)
        self.start = nn.Sequential(nn.Linear(sizes[0], coarse[0] * coarse[1] * coarse[2]), nn.Unflatten(-1, coarse))
        self.blocks = nn.ModuleList(
            UpBlock(fan_in, fan_out, size + embedding)
            for fan_in, fan_out, size in zip(widths[:-1], widths[1:], sizes[1:], strict=True)
        )
        self.end = nn.Sequential(
            nn.BatchNorm2d(filters), nn.ReLU(), nn.Conv2d(filters, channels, 3, padding=1), FromTanh()
        )
        small_weights(self)
        SpectralNorm().wrap(self)

    def forward(self, latents: Float[Tensor, "B Z"], labels: Int[Tensor, " B"] | None = None) -> Maps:
        first, *parts = latents.tensor_split(self.parts, -1)
        if self.embedding is not None:
            if labels is None:
                raise problem("labels of the images", "none", "give a class to every latent")
            embedded = self.embedding(labels)
            parts = [torch.cat([part, embedded], -1) for part in parts]
        maps = self.start(first)
        for block, part in zip(self.blocks, parts, strict=True):
            maps = block(maps, part)
        return self.end(maps)


class DownBlock(nn.Module):
    """A residual block that halves feature maps, or keeps their size; figure 15 (c) of the paper. The first block of a
    network, whose inputs are images, has no ReLU before its first convolution."""

    def __init__(self, fan_in: int, fan_out: int, halving: bool = True, first: bool = False):
        super().__init__()
        self.before = nn.Identity() if first else nn.ReLU()
        self.first = nn.Conv2d(fan_in, fan_out, 3, padding=1)
        self.second = nn.Conv2d(fan_out, fan_out, 3, padding=1)
        self.shortcut = nn.Conv2d(fan_in, fan_out, 1) if fan_in != fan_out else nn.Identity()
        self.pool = nn.AvgPool2d(2) if halving else nn.Identity()

    def forward(self, maps: Maps) -> Resized:
        hidden = self.second(F.relu(self.first(self.before(maps))))
        return self.pool(hidden) + self.shortcut(self.pool(maps))


class ProjectionHead(nn.Module):
    """Logits [B] of features [B, D, h, w], summed over places, and labels [B] if there are classes."""

    def __init__(self, features: int, n_classes: int = 0):
        super().__init__()
        self.linear = nn.Linear(features, 1)
        self.embedding = nn.Embedding(n_classes, features) if n_classes else None
        if self.embedding is not None:
            nn.utils.parametrizations.spectral_norm(self.embedding)

    def forward(self, maps: Maps, labels: Int[Tensor, " B"] | None = None) -> Float[Tensor, " B"]:
        features = F.relu(maps).sum((2, 3))
        logit = self.linear(features).squeeze(-1)
        if self.embedding is None:
            return logit
        if labels is None:
            raise problem("labels of the images", "none", "train on labeled images")
        return projection_logit(logit, self.embedding(labels), features)


def biggan_discriminator(channels: int, height: int, width: int, filters: int, n_classes: int = 0) -> Parts:
    """The parts of a discriminator: a block for each halving and one more. It has `filters` channels after the first
    block; each other block that halves doubles them."""
    times = required_halvings(height, width)
    widths = [filters << index for index in range(times)]
    first = nn.Sequential(ToTanh(), DownBlock(channels, filters, first=True))
    halving = [DownBlock(fan_in, fan_out) for fan_in, fan_out in pairwise(widths)]
    blocks = [first, *halving, DownBlock(widths[-1], widths[-1], halving=False)]
    head = ProjectionHead(widths[-1], n_classes)
    for module in (*blocks, head):
        small_weights(module)
        SpectralNorm().wrap(module)
    return Parts(blocks, [*widths, widths[-1]], head)


def _doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2)
