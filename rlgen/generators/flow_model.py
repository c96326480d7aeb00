"""The base class of image models that are normalizing flows."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rlgen.display import Metric, Panel
from rlgen.equations.variational_bounds import bits_per_dimension, dequantize
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.generators.pixels import LEVELS, level, quantized


class FlowModel(ImageModel):
    """A normalizing flow between latents and dequantized images, x = (level + noise) / 256 with uniform noise: one
    player, which maximizes their log-density. Uria et al. 2013 (RNADE, 1306.0186), section 5.1, for the noise.

    A subclass has `to_latents`, `to_pixels`, `prior` and `prior_log_prob`; its configuration has a `learning_rate`.
    """

    panels = (
        Panel("Minus the log-density of dequantized images [nats]", (Metric("flow/loss", "loss"),)),
        Panel(
            "Length of the images' code, at most [bits per dimension]",
            (Metric("flow/bits_per_dimension", "training images"),),
        ),
    )

    def __init__(self, shape: ImageShape, config: Any):
        super().__init__(shape, config)
        image = torch.zeros(1, *shape.chw, dtype=torch.float64)
        self._log_determinant = dequantize(image, image, LEVELS)[1].item()

    @property
    def log_determinant(self) -> float:
        return self._log_determinant

    @abstractmethod
    def to_latents(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Latents [B, Z] of dequantized images x [B, C, H, W], and log |det d latents / d x| [B]."""

    @abstractmethod
    def to_pixels(self, latents: Tensor) -> Tensor:
        """The x [B, C, H, W] of latents [B, Z]."""

    @abstractmethod
    def prior(self, n: int) -> Tensor:
        """Latents [n, Z] drawn from the prior."""

    @abstractmethod
    def prior_log_prob(self, latents: Tensor) -> Tensor:
        """Log-density of the prior, nats [B]."""

    def players(self) -> Sequence[Player]:
        return (Player("flow", self.parameters(), self.loss, self.config.learning_rate),)

    def loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Minus the log-density of the dequantized images, nats per image."""
        log_density = self.log_density_at(self.dequantized(images)).mean()
        bits = bits_per_dimension(log_density, self.shape.numbers, self.log_determinant)
        return {"loss": -log_density, "bits_per_dimension": bits.detach()}

    def dequantized(self, images: Tensor) -> Tensor:
        """x of images [B, C, H, W] in [0, 1], with new noise."""
        return dequantize(level(images), torch.rand_like(images), LEVELS)[0]

    def log_density_at(self, x: Tensor) -> Tensor:
        """Log-density of dequantized images x, nats [B]: the change of variables (Dinh et al. 2017, 1605.08803, eq.
        2)."""
        latents, log_det = self.to_latents(x)
        return self.prior_log_prob(latents) + log_det

    @torch.no_grad()
    def log_density(self, images: Tensor) -> Tensor:
        """Log-density [B] of images [B, C, H, W], nats, with new noise. Its mean over the noise, plus
        `log_determinant`, is a lower bound on the log-probability of the levels."""
        return self.log_density_at(self.dequantized(images))

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Latents [B, Z] of images [B, C, H, W], with x in the middle of each level; `decode` returns the images."""
        return self.to_latents(dequantize(level(images), torch.full_like(images, 0.5), LEVELS)[0])[0]

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The image of each latent, rounded down to its levels as dequantization requires."""
        return quantized(self.to_pixels(latents))

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.prior(n))
