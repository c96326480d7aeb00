"""A small U-Net that predicts noise in images, of any size."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import LEFT_OUT
from rlgen.errors import problem

Images = Float[Tensor, "B C H W"]
GROUPS = 8
"""Largest number of groups of a group norm."""
LONGEST = 10_000.0
"""Longest period of the embedding of steps."""


def sinusoids(steps: Int[Tensor, " B"], size: int) -> Float[Tensor, "B size"]:
    """Sines and cosines of the steps at `size` / 2 frequencies. Vaswani et al. 2017 (1706.03762), section 3.5."""
    half = size // 2
    frequencies = torch.exp(-math.log(LONGEST) * torch.arange(half, device=steps.device) / half)
    angles = steps[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


class UNet(nn.Module):
    """Maps noisy images [B, C, H, W] and their steps [B] to the predicted noise [B, C, H, W]. Ronneberger et al. 2015
    (1505.04597); with residual blocks that see the step and attention between the coarsest pixels Ho et al. 2020
    (2006.11239), appendix B.

    `widths`: channels at each resolution, finest first; each is half as fine as the one before. Images are padded to
    sides that can be halved so often.

    Differs from the paper: one residual block per resolution on the way down and one on the way up.
    """

    def __init__(self, channels: int, widths: Sequence[int], attention: bool = True):
        super().__init__()
        if not widths or min(widths) < 2 or any(width % 2 for width in widths):
            raise problem("even numbers of channels, at least one", f"{list(widths)}", LEFT_OUT)
        self.embedded, inside = widths[0], 4 * widths[0]
        self.steps = nn.Sequential(nn.Linear(self.embedded, inside), nn.SiLU(), nn.Linear(inside, inside), nn.SiLU())
        self.first = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.downward, self.halved = nn.ModuleList(), nn.ModuleList()
        for index, width in enumerate(widths):
            self.downward.append(ResidualBlock(width, width, inside))
            if index + 1 < len(widths):
                self.halved.append(nn.Conv2d(width, widths[index + 1], 3, stride=2, padding=1))
        self.between = Attention(widths[-1]) if attention else nn.Identity()
        self.upward, self.doubled = nn.ModuleList(), nn.ModuleList()
        for index in reversed(range(len(widths))):
            self.upward.append(ResidualBlock(2 * widths[index], widths[index], inside))
            if index:
                self.doubled.append(nn.Conv2d(widths[index], widths[index - 1], 3, padding=1))
        self.last = nn.Sequential(_norm(widths[0]), nn.SiLU(), _zeroed(nn.Conv2d(widths[0], channels, 3, padding=1)))

    def forward(self, images: Images, steps: Int[Tensor, " B"]) -> Images:
        height, width = images.shape[2:]
        multiple = 2 ** len(self.halved)
        hidden = self.first(F.pad(images, (0, -width % multiple, 0, -height % multiple)))
        step, kept = self.steps(sinusoids(steps, self.embedded)), []
        for index, block in enumerate(self.downward):
            hidden = block(hidden, step)
            kept.append(hidden)
            if index < len(self.halved):
                hidden = self.halved[index](hidden)
        hidden = self.between(hidden)
        for index, block in enumerate(self.upward):
            hidden = block(torch.cat([hidden, kept.pop()], 1), step)
            if index < len(self.doubled):
                hidden = self.doubled[index](F.interpolate(hidden, scale_factor=2.0))
        return self.last(hidden)[:, :, :height, :width]


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions with group norm and SiLU; the step is added between them."""

    def __init__(self, fan_in: int, fan_out: int, step: int):
        super().__init__()
        self.before = nn.Sequential(_norm(fan_in), nn.SiLU(), nn.Conv2d(fan_in, fan_out, 3, padding=1))
        self.step = nn.Linear(step, fan_out)
        after = _zeroed(nn.Conv2d(fan_out, fan_out, 3, padding=1))
        self.after = nn.Sequential(_norm(fan_out), nn.SiLU(), after)
        self.skip = nn.Identity() if fan_in == fan_out else nn.Conv2d(fan_in, fan_out, 1)

    def forward(self, hidden: Images, step: Float[Tensor, "B S"]) -> Float[Tensor, "B D H W"]:
        changed = self.before(hidden) + self.step(step)[:, :, None, None]
        return self.skip(hidden) + self.after(changed)


class Attention(nn.Module):
    """Attention of every pixel to all others, with one head, added to the pixels. Vaswani et al. 2017 (1706.03762), eq.
    1; on pixels Wang et al. 2018 (1711.07971)."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = _norm(channels)
        self.queries_keys_values = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zeroed(nn.Conv2d(channels, channels, 1))

    def forward(self, hidden: Images) -> Images:
        pixels = self.queries_keys_values(self.norm(hidden)).flatten(2).transpose(1, 2)  # [B, H W, 3 C]
        mixed = F.scaled_dot_product_attention(*pixels.chunk(3, -1))
        return hidden + self.out(mixed.transpose(1, 2).unflatten(2, hidden.shape[2:]))


def _norm(channels: int) -> nn.GroupNorm:
    """A group norm whose groups have two channels at least: one of a single channel would take away again what the step
    adds to it."""
    groups = math.gcd(GROUPS, channels)
    return nn.GroupNorm(groups // 2 if groups == channels else groups, channels)


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights and biases of zero, so that a block starts as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
