"""Normalizing flows of images [B, C, H, W] at several scales. Dinh et al. 2017 (Real NVP, 1605.08803), sections 3.4 to
3.6."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from rlgen.nn.conv import halvings
from rlgen.nn.flows import AffineCoupling, BetweenParts, Flow

Images = Float[Tensor, "B C H W"]
Squeezed = Float[Tensor, "B D h w"]
Latents = Float[Tensor, "B Z"]
LogDet = Float[Tensor, " B"]
Network = Callable[[int, int, int], nn.Module]
"""Constructs the network of a coupling from its input channels, its output channels and the index of its scale."""
COUPLINGS, LAST_COUPLINGS = 3, 4
"""Couplings with each kind of mask at a scale, and with the checkerboard at the last scale. Section 3.6."""


def checkerboard_mask(height: int, width: int, first: bool) -> Bool[Tensor, "1 H W"]:
    """Mask that is True at every second pixel, at the top left pixel if `first`. Dinh et al. 2017, section 3.4."""
    return ((torch.arange(height)[:, None] + torch.arange(width)) % 2 == (0 if first else 1))[None]


def half_mask(channels: int, first: bool) -> Bool[Tensor, "C 1 1"]:
    """Mask that is True for the first half of the channels, or else for the second. Dinh et al. 2017, section 3.4."""
    return ((torch.arange(channels) < channels // 2) == first)[:, None, None]


class Squeeze(nn.Module):
    """Turns every 2 × 2 pixels into one pixel with four times the channels. Dinh et al. 2017, section 3.6.

    The channels are ordered by pixel, the two diagonals one after the other as in the released code, so that each half
    of the channels is half of a checkerboard.
    """

    order: Tensor
    original: Tensor

    def __init__(self, channels: int):
        super().__init__()
        order = torch.arange(4 * channels).view(channels, 4)[:, [0, 3, 1, 2]].T.flatten()
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("original", order.argsort(), persistent=False)

    def forward(self, x: Images, context: None = None) -> tuple[Squeezed, LogDet]:
        """The squeezed images, and a log-determinant of 0."""
        return F.pixel_unshuffle(x, 2)[:, self.order], x.new_zeros(len(x))

    def inverse(self, squeezed: Squeezed, context: None = None) -> tuple[Images, LogDet]:
        """The original images, and a log-determinant of 0."""
        return F.pixel_shuffle(squeezed[:, self.original], 2), squeezed.new_zeros(len(squeezed))


class ActNorm(nn.Module):
    """x exp(s) + t with a learned s and t for each channel. Kingma & Dhariwal 2018 (Glow, 1807.03039), section 3.1 and
    table 1. `standardize_channels` initializes it with data."""

    def __init__(self, channels: int):
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Images, context: None = None) -> tuple[Images, LogDet]:
        """The transformed x, and log |det Jacobian|."""
        return x * self.log_scale.exp() + self.shift, self._log_det(x)

    def inverse(self, moved: Images, context: None = None) -> tuple[Images, LogDet]:
        """The original x of `moved`, and the log-determinant of `forward`."""
        return (moved - self.shift) * (-self.log_scale).exp(), self._log_det(moved)

    def _log_det(self, x: Tensor) -> Tensor:
        return (self.log_scale.sum() * x[0, 0].numel()).expand(len(x))

    @torch.no_grad()
    def standardize(self, x: Images) -> None:
        """Set s and t so that every channel of the transformed x has mean 0 and standard deviation 1."""
        std, mean = torch.std_mean(x, dim=(0, 2, 3), correction=0)
        scale = 1 / std.clamp(min=1e-6)  # for a channel that does not vary
        self.log_scale.copy_(scale.log()[:, None, None])
        self.shift.copy_((-mean * scale)[:, None, None])


@torch.no_grad()
def standardize_channels(flow: nn.Module, x: Tensor) -> None:
    """Initialize every `ActNorm` of `flow`, one after another, with the input that it gets for x [B, C, H, W]."""
    norms = [module for module in flow.modules() if isinstance(module, ActNorm)]
    hooks = [norm.register_forward_pre_hook(lambda norm, inputs: norm.standardize(inputs[0])) for norm in norms]
    try:
        flow(x)
    finally:
        for hook in hooks:
            hook.remove()


class ResidualNetwork(nn.Module):
    """A residual network of 3 × 3 convolutions with weight normalization and ReLU: pre-activated blocks of two
    convolutions, and a 1 × 1 convolution at the end. He et al. 2016 (1603.05027); Salimans & Kingma 2016
    (1602.07868)."""

    def __init__(self, fan_in: int, fan_out: int, filters: int, blocks: int):
        super().__init__()
        self.first = weight_norm(nn.Conv2d(fan_in, filters, 3, padding=1))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                weight_norm(nn.Conv2d(filters, filters, 3, padding=1)),
                nn.ReLU(),
                weight_norm(nn.Conv2d(filters, filters, 3, padding=1)),
            )
            for _ in range(blocks)
        )
        self.last = weight_norm(nn.Conv2d(filters, fan_out, 1))

    def forward(self, x: Images) -> Float[Tensor, "B D H W"]:
        hidden = self.first(x).contiguous(memory_format=torch.channels_last)  # in which convolutions are faster
        for block in self.blocks:
            hidden = hidden + block(hidden)
        return self.last(F.relu(hidden))


class MultiScaleFlow(nn.Module):
    """Images to latents [B, C · H · W]. At each scale there are couplings with checkerboard masks, then the image is
    squeezed, there are couplings with channel masks, and half of the channels become latents. The last scale has
    checkerboard masks alone. Dinh et al. 2017 (Real NVP, 1605.08803), section 3.6.

    `scales`: largest number of scales; there are fewer if the sides cannot be halved as often (`halvings`). `network`
    constructs the couplings' networks.

    Differs from the paper: `ActNorm` before every coupling instead of batch norm behind it, because the density of an
    image then does not depend on the images that it is in a batch with. The networks of checkerboard masks see
    squeezed images, if these can be squeezed, because half of the pixels are masked and a quarter of the positions is a
    quarter of the work.
    """

    def __init__(self, channels: int, height: int, width: int, scales: int, network: Network):
        super().__init__()
        made, shapes = [], []
        for scale in range(min(scales - 1, halvings(height, width))):
            steps = _checkerboards(COUPLINGS, channels, height, width, scale, network, squeezed=True)
            channels, height, width = 4 * channels, height // 2, width // 2
            made.append(Flow([*steps, Squeeze(channels // 4), *_halves(channels, scale, network)], event=3))
            channels //= 2
            shapes.append((channels, height, width))
        made.append(Flow(_checkerboards(LAST_COUPLINGS, channels, height, width, len(made), network), event=3))
        self.scales = nn.ModuleList(made)
        self.shapes = [*shapes, (channels, height, width)]
        """Shapes of the parts of the latents, those of the finest scale first."""

    def forward(self, x: Images) -> tuple[Latents, LogDet]:
        """Latents of images, and log |det Jacobian|."""
        parts, minus_log_det = [], x.new_zeros(len(x))
        *finer, last = self.scales
        for scale in finer:
            x, minus_log_det = scale.moved(x, minus_log_det)  # type: ignore[operator]
            x, part = x.chunk(2, 1)
            parts.append(part)
        x, minus_log_det = last.moved(x, minus_log_det)  # type: ignore[operator]
        return torch.cat([part.flatten(1) for part in [*parts, x]], 1), -minus_log_det

    def inverse(self, latents: Latents) -> tuple[Images, LogDet]:
        """Images of latents, and the log-determinant of `forward` there."""
        split = latents.split([torch.Size(shape).numel() for shape in self.shapes], 1)
        *parts, x = (part.unflatten(1, shape) for part, shape in zip(split, self.shapes, strict=True))
        *finer, last = self.scales
        x, total = last.origin(x)  # type: ignore[operator]
        for scale, part in zip(reversed(finer), reversed(parts), strict=True):
            x, log_det = scale.origin(torch.cat([x, part], 1))  # type: ignore[operator]
            total = total + log_det
        return x, total


def _checkerboards(
    count: int, channels: int, height: int, width: int, scale: int, network: Network, squeezed: bool = False
) -> list[nn.Module]:
    """`count` couplings, each after an `ActNorm`, with alternating checkerboard masks."""
    steps: list[nn.Module] = []
    for number in range(count):
        said = (
            nn.Sequential(nn.PixelUnshuffle(2), network(4 * channels, 8 * channels, scale), nn.PixelShuffle(2))
            if squeezed
            else network(channels, 2 * channels, scale)
        )
        steps += [ActNorm(channels), AffineCoupling(checkerboard_mask(height, width, number % 2 == 0), said)]
    return steps


def _halves(channels: int, scale: int, network: Network) -> list[nn.Module]:
    """Couplings, each after an `ActNorm`, with alternating channel masks."""
    steps: list[nn.Module] = []
    for number in range(COUPLINGS):
        mask = half_mask(channels, number % 2 == 0)
        steps += [
            ActNorm(channels),
            AffineCoupling(mask, BetweenParts(mask, network(channels // 2, channels, scale))),
        ]
    return steps
