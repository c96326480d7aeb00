"""Models that predict the pixels of an image one after another, so that its likelihood is exact."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, one_of, positive
from rlgen.display import Metric, Panel
from rlgen.errors import problem
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.generators.pixels import DISCRETE, LEVELS, level
from rlgen.idle import setting
from rlgen.nn.layers import full_precision
from rlgen.nn.pixel_networks import PixelSizes
from rlgen.nn.raster_scan import RasterScan

if TYPE_CHECKING:
    Likelihood = str
else:
    Likelihood = Literal[*DISCRETE]
AT_ONCE = 50
"""Images whose likelihood is computed at a time."""


@dataclass(frozen=True, kw_only=True)
class AutoregressiveConfig:
    """Configuration that `PixelCNN` and `PixelRNN` share."""

    width: int = 32
    """Number of features of a layer, h in the papers."""
    depth: int = 5
    """Number of layers after the first one."""
    kernel: int = 3
    """Size of the layers' kernels, in pixels, an odd number; the first layer's is 7."""
    likelihood: Likelihood = "bernoulli"
    """Likelihood of a pixel: bernoulli, for binary images; categorical, over 256 levels, each color given those before
    it; or logistic, a mixture of discretized logistics (Salimans et al. 2017, PixelCNN++, 1701.05517), for grey or
    color."""
    mixture: int = setting(10, "likelihood", "logistic")
    """Number of logistics in the mixture of the logistic likelihood."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""

    def __post_init__(self) -> None:
        at_least(self, 1, "width", "depth", "kernel", "mixture")
        positive(self, "learning_rate")
        one_of(self, "likelihood", DISCRETE)
        if self.kernel % 2 == 0:
            raise problem("an odd kernel, with the pixel in its middle", f"{self.kernel}", "use e.g. 3")


class AutoregressiveModel(ImageModel):
    """log p(x) = Σ log p(x_i | x_1 … x_(i-1)), pixel by pixel from left to right and row by row. van den Oord et al.
    2016 (1601.06759), eq. 1 and 2.

    One player maximizes the likelihood. `network`: constructs the network from its sizes; its outputs for a pixel
    depend only on the pixels before it.
    """

    panels = (
        Panel(
            "Negative log-likelihood [nats]",
            (
                Metric("likelihood/loss", "training images"),
                Metric("evaluation/nll", "test images", band="evaluation/nll_standard_error"),
            ),
        ),
        Panel(
            "Test images: length of their code [bits per dimension]",
            (Metric("evaluation/bits_per_dimension", "exact"),),
        ),
    )
    results = (
        Metric("nll", "negative log-likelihood", "nats", "nll_standard_error"),
        Metric("bits_per_dimension", "bits per dimension"),
    )
    config: AutoregressiveConfig

    def __init__(
        self, shape: ImageShape, config: AutoregressiveConfig, network: Callable[[PixelSizes], nn.Module]
    ) -> None:
        super().__init__(shape, config)
        self.pixels = DISCRETE[config.likelihood](shape, config.mixture)
        self.colors = 1 if self.pixels.joint else shape.channels
        self.network = network(PixelSizes(shape.channels, self.pixels.numbers, config.width, self.colors))

    @property
    def binary(self) -> bool:
        return self.config.likelihood == "bernoulli"

    @property
    def log_determinant(self) -> float | None:
        return self.pixels.log_determinant

    def players(self) -> Sequence[Player]:
        return (Player("likelihood", self.parameters(), self.loss, self.config.learning_rate),)

    def loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Minus log p(x), nats per image."""
        return {"loss": -self._log_prob(images).mean()}

    @torch.no_grad()
    def log_prob(self, images: Tensor) -> Tensor:
        """log p(x) [B] of images [B, C, H, W] in [0, 1], nats."""
        return torch.cat([self._log_prob(some) for some in images.split(AT_ONCE)])

    def _log_prob(self, images: Tensor) -> Tensor:
        return self.pixels.log_prob(images, full_precision(self.network(2 * images - 1)))

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        weight = next(self.parameters())
        return self.complete(torch.zeros(n, *self.shape.chw, dtype=weight.dtype, device=weight.device), rows=0)

    def complete(self, images: Tensor, rows: int) -> Tensor:
        """The first `rows` rows of `images` [B, C, H, W], and a sample of the others given these."""
        with torch.inference_mode():
            seen = 2 * images - 1
            scan = RasterScan(self.shape.width)
            for row, column in scan.places(self.shape.height):
                # In a known row the network only remembers the pixel; an unknown color does not affect its outputs.
                for turn in range(self.colors if row >= rows else 1):
                    outputs = self.network(seen, scan)
                    if row >= rows:
                        self._draw(seen[:, :, row, column], outputs, turn)
        return torch.cat([images[:, :, :rows], level((seen[:, :, rows:] + 1) / 2) / (LEVELS - 1)], 2)

    def _draw(self, pixel: Tensor, outputs: Tensor, turn: int) -> None:
        """Write a sample into `pixel` [B, C]: of all channels at once, or of channel `turn` if each has its turn."""
        drawn = 2 * self.pixels.sample(outputs)[..., 0, 0] - 1
        channels = slice(turn, turn + 1) if self.colors > 1 else slice(None)
        pixel[:, channels] = drawn[:, channels]
