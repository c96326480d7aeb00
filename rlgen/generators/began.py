"""Boundary equilibrium GAN (Berthelot et al. 2017, 1703.10717)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, positive, share
from rlgen.equations.boundary_equilibrium import balanced_weight, convergence_measure
from rlgen.generators.image_model import ImageModel, ImageShape
from rlgen.generators.player import Player, Terms
from rlgen.nn.autoencoder import decoder, encoder
from rlgen.nn.precision import full_precision


@dataclass(frozen=True, kw_only=True)
class BEGANConfig:
    """Berthelot et al. 2017 (1703.10717), sections 3.5 and 4.1; for images of any size.

    Differs from the paper: learning rates stay as they are instead of being halved when the convergence measure stalls,
    because when that is depends on the length of a run.
    """

    latent: int = 64
    """Numbers in a latent, and in the autoencoder's code."""
    filters: int = 64
    """Channels of the convolutions; more in the coarser layers of the encoder."""
    ratio: float = 0.5
    """Error on generated images that is aimed at, as a share of that on real ones (gamma): higher for more variety."""
    balance_rate: float = 1e-3
    """Step size of the weight that keeps the balance (lambda_k), per unit of error."""
    generator_rate: float = 1e-4
    """Adam's learning rate for the generator."""
    discriminator_rate: float = 1e-4
    """Adam's learning rate for the autoencoder."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's."""

    def __post_init__(self) -> None:
        at_least(self, 1, "latent", "filters")
        positive(self, "balance_rate", "generator_rate", "discriminator_rate")
        share(self, "ratio", remedy="use e.g. 0.5")


class BEGAN(ImageModel):
    """The discriminator is an autoencoder, which learns to encode real images and, by a weight that keeps both sides in
    balance, to miss generated ones. Errors are mean absolute differences of pixels in [-1, 1]."""

    config_type = BEGANConfig
    averaged = ("generator",)
    config: BEGANConfig
    weight: Tensor
    """k, between 0 and 1."""

    def __init__(self, shape: ImageShape, config: BEGANConfig | None = None):
        super().__init__(shape, config or BEGANConfig())
        latent, filters = self.config.latent, self.config.filters
        self.encoder = encoder(*shape.chw, latent, filters)
        self.decoder = decoder(*shape.chw, latent, filters)
        self.generator = decoder(*shape.chw, latent, filters)
        self.register_buffer("weight", torch.zeros(()))

    def players(self) -> Sequence[Player]:
        config, autoencoder = self.config, nn.ModuleList([self.encoder, self.decoder])
        return (
            Player(
                "discriminator",
                autoencoder.parameters(),
                self.discriminator_loss,
                config.discriminator_rate,
                config.betas,
            ),
            Player("generator", self.generator.parameters(), self.generator_loss, config.generator_rate, config.betas),
        )

    def discriminator_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """L(x) - k L(G(z))."""
        with torch.no_grad():
            fake = self.generator(self.prior(len(images)))
        real_error, fake_error = (each.mean() for each in self.errors(torch.cat([2 * images - 1, fake])).chunk(2))
        return {"loss": real_error - self.weight * fake_error, "real_error": real_error, "fake_error": fake_error}

    def generator_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """L(G(z))."""
        return {"loss": self.errors(self.generator(self.prior(len(images)))).mean()}

    def errors(self, images: Tensor) -> Tensor:
        """Mean absolute difference of images [B, C, H, W] in [-1, 1] from what the autoencoder makes of them: [B]."""
        return (images - full_precision(self.decoder(self.encoder(images)))).abs().flatten(1).mean(-1)

    @torch.no_grad()
    def after_update(self, logs: Terms) -> None:
        """Move the weight towards the balance."""
        real_error, fake_error = logs["discriminator/real_error"], logs["generator/loss"]
        ratio = self.config.ratio
        self.weight.copy_(balanced_weight(self.weight, real_error, fake_error, ratio, self.config.balance_rate))
        logs["balance/weight"] = self.weight.clone()
        logs["balance/convergence"] = convergence_measure(real_error, fake_error, ratio)

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        return _bounded(self.decoder(self.encoder(2 * images - 1)))

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """The autoencoder's codes [B, Z] of images [B, C, H, W]."""
        return self.encoder(2 * images - 1)

    def prior(self, n: int) -> Tensor:
        """Uniform from -1 to 1."""
        return 2 * torch.rand(n, self.config.latent, device=self.weight.device) - 1

    def between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """Straight: the prior is uniform."""
        return torch.lerp(begin, end, share)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return _bounded(self.generator(latents))

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.prior(n))


def _bounded(images: Tensor) -> Tensor:
    """From [-1, 1] and a little beyond to [0, 1]."""
    return ((images + 1) / 2).clamp(0, 1)
