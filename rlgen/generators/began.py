"""Boundary equilibrium GAN, BEGAN (Berthelot et al. 2017, 1703.10717)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, positive, share
from rlgen.deprecation import unless_earlier
from rlgen.display import Metric, Panel
from rlgen.equations.gan_variants import balanced_weight, convergence_measure
from rlgen.generators.began_start import GeneratorStart
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.nn.conv import decoder, encoder
from rlgen.nn.layers import full_precision


@dataclass(frozen=True, kw_only=True)
class BEGANConfig:
    """Configuration of `BEGAN`: Berthelot et al. 2017 (1703.10717), sections 3.5 and 4.1; for images of any size.

    Differs from the paper:

    - Learning rates are constant instead of halved when the convergence measure stalls, because the time of a stall
      depends on the length of a run.
    - The generator starts as the decoder, once the autoencoder reproduces images (`start`). On dark images with a few
      bright strokes one that starts from random weights turns into a single image: it approaches the target error from
      above, where the weight of fakes is zero, and an image without contrast is reproduced best of all. A single image
      may have the target error too, so nothing brings it back.
    - A higher target error and a weight that follows it within some ten updates instead of some ten thousand.
    """

    latent: int = 64
    """Dimension of a latent and of the autoencoder's code."""
    filters: int = 64
    """Channels of the convolutions; more in the coarser layers of the encoder."""
    start: float = field(default=0.5, metadata=unless_earlier(0.0))
    """Error on real images below which the generator starts to learn, as a fraction of the error of the best single
    image, 0 to 1; it starts as the decoder, for codes distributed like those of real images. 0: it learns from the
    first update, from random weights."""
    ratio: float = 1.0
    """Target error on generated images, as a fraction of the error on real images (gamma, 0 to 1); higher for more
    variety."""
    balance_rate: float = 1.0
    """Step size of the weight that keeps the equilibrium (lambda_k), per unit of error."""
    generator_rate: float = 1e-4
    """Learning rate of Adam for the generator."""
    discriminator_rate: float = 1e-3
    """Learning rate of Adam for the autoencoder."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Betas of Adam."""

    def __post_init__(self) -> None:
        at_least(self, 1, "latent", "filters")
        positive(self, "balance_rate", "generator_rate", "discriminator_rate")
        share(self, "ratio", "start", remedy="use e.g. 0.5")


class BEGAN(ImageModel):
    """A GAN whose discriminator is an autoencoder. It minimizes the error on real images minus a weight times the error
    on generated images; the weight keeps the two errors at a given ratio. Errors are mean absolute differences of
    pixels in [-1, 1]."""

    config_type = BEGANConfig
    panels = (
        Panel(
            "Losses of the players",
            (Metric("discriminator/loss", "discriminator"), Metric("generator/loss", "generator")),
        ),
        Panel(
            "Reconstruction errors",
            (Metric("discriminator/real_error", "real images"), Metric("discriminator/fake_error", "fakes")),
            limits=(0, None),
        ),
        Panel(
            "Balance of reconstruction errors",
            (Metric("balance/convergence", "convergence measure"), Metric("balance/weight", "weight of fakes")),
            limits=(0, None),
        ),
        Panel("Whether the generator learns", (Metric("generator/learns", "learns"),), drawn=False),
    )
    averaged = ("generator",)
    collapse_remedy = "train for longer, raise the ratio (gamma), or lower the generator's learning rate"
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
        if self.config.start:
            self.start = GeneratorStart(latent)

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
            Player(
                "generator",
                self.generator.parameters(),
                self.generator_loss,
                config.generator_rate,
                config.betas,
                gate="learns" if config.start else None,
            ),
        )

    @property
    def waits(self) -> bool:
        """Whether the generator has not started to learn."""
        return bool(self.config.start) and not self.start.over

    def discriminator_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """L(x) - k L(G(z)); L(x) alone while the generator waits."""
        if self.waits:
            return self._autoencoder_loss(2 * images - 1)
        with torch.no_grad():
            fake = self.generator(self.prior(len(images)))
        real_error, fake_error = (each.mean() for each in self.errors(torch.cat([2 * images - 1, fake])).chunk(2))
        return {"loss": real_error - self.weight * fake_error, "real_error": real_error, "fake_error": fake_error}

    def _autoencoder_loss(self, images: Tensor) -> Terms:
        """L(x) of images [B, C, H, W] in [-1, 1], whose codes the start of the generator takes note of."""
        codes = self.encoder(images)
        real_error = (images - full_precision(self.decoder(codes))).abs().mean()
        self.start.see(codes.detach(), images, real_error.detach())
        return {"loss": real_error, "real_error": real_error, "fake_error": self._fake_error(len(images))}

    @torch.no_grad()
    def _fake_error(self, n: int) -> Tensor:
        return self.errors(self.generator(self.prior(n))).mean()

    def generator_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """L(G(z))."""
        if not self.config.start:
            return {"loss": self.errors(self.generator(self.prior(len(images)))).mean()}
        if self.waits:  # `learns` skips the step
            nothing = sum(0 * parameter.sum() for parameter in self.generator.parameters())
            return {"loss": self._fake_error(len(images)) + nothing, "learns": torch.zeros_like(self.weight)}
        error = self.errors(self.generator(self.prior(len(images)))).mean()
        return {"loss": error, "learns": torch.ones_like(self.weight)}

    def errors(self, images: Tensor) -> Tensor:
        """Mean absolute difference [B] between images [B, C, H, W] in [-1, 1] and their reconstructions."""
        return (images - full_precision(self.decoder(self.encoder(images)))).abs().flatten(1).mean(-1)

    @torch.no_grad()
    def after_update(self, logs: Terms) -> None:
        """Update the weight k towards the equilibrium; while the generator waits, the generator to the decoder."""
        real_error, fake_error = logs["discriminator/real_error"], logs["generator/loss"]
        ratio = self.config.ratio
        if self.waits:
            self.start.make(self.generator, self.decoder)
            self.start.check(self.config.start)
        else:
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
        """Latents [n, Z], uniform from -1 to 1."""
        return 2 * torch.rand(n, self.config.latent, device=self.weight.device) - 1

    def between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """Linear interpolation, because the prior is uniform."""
        return torch.lerp(begin, end, share)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return _bounded(self.generator(latents))

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.prior(n))


def _bounded(images: Tensor) -> Tensor:
    """Maps [-1, 1] to [0, 1], and clamps values outside."""
    return ((images + 1) / 2).clamp(0, 1)
