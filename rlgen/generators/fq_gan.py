"""FQ-GAN (Zhao et al. 2020, 2004.02088): a GAN, its host, whose discriminator's features are quantized."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from rlgen.checks import at_least, one_of, positive
from rlgen.display import Metric, Panel
from rlgen.equations.divergences import DIVERGENCES, GENERATOR_DIVERGENCES
from rlgen.errors import problem
from rlgen.generators.fq_hosts import HOSTS
from rlgen.generators.gan import DivergenceName, game_panels
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.nn.discriminator_loss import discriminator_loss
from rlgen.nn.penalties import R1
from rlgen.nn.quantized_discriminator import QuantizationConfig, QuantizedDiscriminator, codebook_panels

if TYPE_CHECKING:
    HostName = str
else:
    HostName = Literal[*HOSTS]


@dataclass(frozen=True, kw_only=True)
class FQGANConfig:
    """Configuration of `FQGAN`: Zhao et al. 2020 (2004.02088), section 4.1, and their released code for CIFAR-10, for
    images of any size. The paper's samples are those of a moving average of the generator: --game.average 0.9999, or
    0.999 for trainings of a few thousand updates.

    Differs from the paper: half as many channels or fewer, because the images are small. Settings that are left out are
    those of the host.
    """

    host: HostName = "biggan"
    """GAN whose networks and settings are used."""
    quantization: QuantizationConfig = field(default_factory=QuantizationConfig)
    """Quantization of the discriminator's features."""
    latent: int = 128
    """Latent dimension."""
    width: int = 32
    """Channels of the discriminator's first convolution; each halving doubles them. The generator has the reverse."""
    divergence: DivergenceName | None = None
    """Divergence that determines the losses; by default the host's: hinge for biggan, otherwise non_saturating."""
    discriminator_turns: int | None = None
    """Steps of the discriminator per step of the generator, each on separate images; by default the host's: 4 for
    biggan, otherwise 1."""
    generator_rate: float | None = None
    """Learning rate of Adam for the generator; by default the host's: 2e-3 for stylegan2, otherwise 2e-4."""
    discriminator_rate: float | None = None
    """Learning rate of Adam for the discriminator; by default the host's: 2e-3 for stylegan2, otherwise 2e-4."""
    r1: float | None = None
    """Weight of the R1 penalty (Mescheder et al. 2018, 1801.04406), 0 for none; by default the host's: 0.1 for
    stylegan2, otherwise 0. Not for dcgan, whose discriminator has batch norm."""

    def __post_init__(self) -> None:
        one_of(self, "host", HOSTS)
        at_least(self, 1, "latent", "width", "discriminator_turns")
        positive(self, "generator_rate", "discriminator_rate")
        at_least(self, 0, "r1", remedy="use 0 for none")
        if self.divergence is not None:
            one_of(self, "divergence", GENERATOR_DIVERGENCES)
        if HOSTS[self.host].batch_norm and self.r1:
            expected = "for R1 a discriminator whose rows do not influence one another"
            raise problem(expected, f"{self.host}, which has batch norm", "leave r1 out, or choose another host")


class FQGAN(ImageModel):
    """A GAN whose discriminator's features are replaced by the nearest codes. The commitment loss is in the losses on
    real images, on fakes and of the generator.

    Where the host and the data have classes, fakes have the labels of the real images.
    """

    averaged = ("generator",)
    config_type = FQGANConfig
    panels = (
        *game_panels(),
        Panel(
            "Squared distance of features from their codes",
            (
                Metric("discriminator/commitment", "discriminator's turn"),
                Metric("generator/commitment", "generator's turn"),
            ),
            limits=(0, None),
        ),
        *codebook_panels("discriminator"),
    )
    config: FQGANConfig

    def __init__(self, shape: ImageShape, config: FQGANConfig | None = None):
        config = config or FQGANConfig()
        super().__init__(shape, config)
        self.host = host = HOSTS[config.host]
        self.conditional = host.conditional and shape.n_classes > 0
        self.divergence = DIVERGENCES[config.divergence or host.divergence]
        weight = host.r1 if config.r1 is None else config.r1
        self.penalties = [R1(weight=weight)] if weight else []
        self.generator = host.generator(shape, config.latent, config.width)
        self.discriminator = QuantizedDiscriminator(host.discriminator(shape, config.width), config.quantization)

    def players(self) -> Sequence[Player]:
        config, host = self.config, self.host
        return (
            Player(
                "discriminator",
                self.discriminator.parameters(),
                self.discriminator_loss,
                config.discriminator_rate or host.discriminator_rate,
                host.betas,
                config.discriminator_turns or host.discriminator_turns,
                second_gradients=bool(self.penalties),
            ),
            Player(
                "generator",
                self.generator.parameters(),
                self.generator_loss,
                config.generator_rate or host.generator_rate,
                host.betas,
            ),
        )

    def discriminator_loss(self, real: Tensor, labels: Tensor | None = None) -> Terms:
        """The host's loss plus the commitment on real images and on fakes; codes learn from both."""
        condition = self.condition(labels)
        with torch.no_grad():
            fake = self.generator(self.prior(len(real)), *condition)
        of_real, of_fake = self.discriminator(real, *condition), self.discriminator(fake, *condition)
        found = discriminator_loss(
            self.divergence,
            self.penalties,
            lambda images: self.discriminator(images, *condition).logit,
            real,
            fake,
            of_real.logit,
            of_fake.logit,
        )
        self.discriminator.learn(of_real, of_fake)
        commitment = of_real.commitment + of_fake.commitment
        parts = {"penalty": found.penalty} if self.penalties else {}
        return {
            "loss": found.loss + found.penalty + self.config.quantization.commitment * commitment,
            "divergence": found.loss,
            "commitment": commitment,
            "real_accuracy": found.real_accuracy,
            "fake_accuracy": found.fake_accuracy,
            **parts,
            **self.discriminator.report(),
        }

    def generator_loss(self, real: Tensor, labels: Tensor | None = None) -> Terms:
        """The host's loss plus the commitment on fakes."""
        condition = self.condition(labels)
        found = self.discriminator(self.generator(self.prior(len(real)), *condition), *condition)
        loss = self.divergence.generator_loss(found.logit) + self.config.quantization.commitment * found.commitment
        return {"loss": loss, "commitment": found.commitment}

    def condition(self, labels: Tensor | None) -> tuple[Tensor, ...]:
        """The further inputs of both networks: the labels [B]; none without classes."""
        if not self.conditional:
            return ()
        if labels is None:
            raise problem("labels of the images", "none", "train on labeled images")
        return (labels,)

    @property
    def device(self) -> torch.device:
        return next(self.generator.parameters()).device

    def prior(self, n: int) -> Tensor:
        return torch.randn(n, self.config.latent, device=self.device)

    @torch.no_grad()
    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images [n, C, H, W] of latents [n, Z] and labels [n], by default of random classes."""
        if labels is None and self.conditional:
            labels = torch.randint(self.shape.n_classes, (len(latents),), device=self.device)
        return self.generator(latents, *self.condition(labels))

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.prior(n), labels)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Inputs [B, F] of the discriminator's head for images [B, C, H, W]."""
        return self.discriminator.body(images)[0].flatten(1)
