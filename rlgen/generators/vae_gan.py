"""VAE/GAN (Larsen et al. 2016, 1512.09300): an autoencoder that compares images by features of a discriminator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, below_one, positive
from rlgen.display import Metric, Panel
from rlgen.equations.divergences import log_d, neg_log_one_minus_d
from rlgen.equations.likelihoods import diagonal_gaussian_log_prob
from rlgen.errors import problem
from rlgen.generators.dcgan import coarse_numbers, convolutions, deconvolutions
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.generators.pictures import DRAWN, active_traversal
from rlgen.nn.conv import even_weights, small_weights
from rlgen.nn.layers import full_precision
from rlgen.nn.posterior import DiagonalGaussian


@dataclass(frozen=True, kw_only=True)
class VAEGANConfig:
    """Configuration of `VAEGAN`: section 4 of the paper and its released code, for images of any size."""

    latent: int = 128
    """Latent dimension."""
    width: int = 64
    """Channels after the first convolution of encoder and discriminator; each further convolution doubles them. The
    decoder has the reverse."""
    layer: int = 0
    """Convolution of the discriminator, counted from 1, after which images are compared; 0: the last one."""
    reconstruction: float = 1e-5
    """Weight γ of the reconstruction in the decoder's loss; the adversarial loss has 1 (algorithm 1; released code, for
    faces)."""
    kl: float = 1.0
    """Weight of the KL divergence from the prior in the encoder's loss."""
    learning_rate: float = 3e-4
    """Learning rate of all three players (section 4)."""
    decay: float = 0.9
    """Decay of the average of squared gradients, as in RMSProp; the optimizer is Adam without momentum."""
    equilibrium: float = 0.68
    """Target of the discriminator's losses on real images and on fakes, nats (released code); log 2 for a discriminator
    that cannot distinguish them."""
    margin: float | None = 0.35
    """Tolerance around the equilibrium, nats (released code). The discriminator does not learn while one of its losses
    is further below, the decoder while one is further above. None: both always learn."""

    def __post_init__(self) -> None:
        at_least(self, 1, "latent", "width")
        at_least(self, 0, "layer", remedy="use 0 for the last one")
        at_least(self, 0, "reconstruction", "kl", "margin")
        positive(self, "learning_rate", "equilibrium")
        below_one(self, "decay")


class Costs(NamedTuple):
    """The discriminator's losses, nats per image."""

    real: Tensor
    """-E[log D] over real images."""
    fake: Tensor
    """-E[log (1 - D)] over reconstructions and samples."""

    @classmethod
    def of(cls, real_logit: Tensor, fake_logit: Tensor) -> "Costs":
        """The losses for the discriminator's logits [B] and [B']."""
        return cls(-log_d(real_logit).mean(), neg_log_one_minus_d(fake_logit).mean())


class VAEGAN(ImageModel):
    """Algorithm 1: three players, each trained on its own terms of the loss.

    Differs from the algorithm:

    - Reconstructions and samples together have the same weight as real images, because the released code does so.
    - Each player's step draws separate latents, because the players before it have already been updated.
    - Images are compared after a convolution's batch norm and ReLU; the released code compares them before.
    """

    averaged = ("encoder", "posterior", "decoder")
    config_type = VAEGANConfig
    panels = (
        Panel("KL to the prior [nats]", (Metric("encoder/kl", "KL"),), limits=(0, None)),
        Panel(
            "Reconstruction, as the discriminator sees it [nats]",
            (
                Metric("encoder/reconstruction", "encoder's turn"),
                Metric("decoder/reconstruction", "decoder's turn"),
            ),
        ),
        Panel(
            "Discriminator right on",
            (Metric("discriminator/real_accuracy", "real images"), Metric("discriminator/fake_accuracy", "fakes")),
            limits=(0, 1),
            line=0.5,
        ),
        Panel(
            "Share of turns that count",
            (Metric("discriminator/learns", "discriminator"), Metric("decoder/learns", "decoder")),
            limits=(0, 1),
        ),
        Panel(
            "Losses of the players",
            (Metric("discriminator/loss", "discriminator"), Metric("decoder/loss", "decoder")),
        ),
        Panel("Loss of the encoder [nats]", (Metric("encoder/loss", "loss"),)),
        Panel("The decoder's game", (Metric("decoder/game", "game"),), drawn=False),
    )
    config: VAEGANConfig

    def __init__(self, shape: ImageShape, config: VAEGANConfig | None = None):
        config = config or VAEGANConfig()
        super().__init__(shape, config)
        features = coarse_numbers(shape, config.width)
        self.encoder = convolutions(shape, config.width)
        self.posterior = DiagonalGaussian(features, config.latent)
        self.decoder = deconvolutions(shape, config.latent, config.width)
        self.discriminator = convolutions(shape, config.width)
        self.head = nn.Linear(features, 1)
        blocks = [index for index, layer in enumerate(self.discriminator) if isinstance(layer, nn.Sequential)]
        if config.layer > len(blocks):
            got = f"layer {config.layer} of {len(blocks)}"
            raise problem("one of the discriminator's convolutions", got, "use 0 for the last one")
        self.compared = blocks[config.layer - 1]
        """Index of the discriminator's layer whose outputs are compared."""
        # With small weights the discriminator's features would hardly depend on the image where no batch norm follows.
        even_weights(self.encoder)
        even_weights(self.discriminator)
        small_weights(self.decoder)
        small_weights(self.head)

    def players(self) -> Sequence[Player]:
        scopes = {
            "encoder": (nn.ModuleList([self.encoder, self.posterior]), self.encoder_loss),
            "decoder": (self.decoder, self.decoder_loss),
            "discriminator": (nn.ModuleList([self.discriminator, self.head]), self.discriminator_loss),
        }
        rate, betas = self.config.learning_rate, (0.0, self.config.decay)
        return [
            Player(name, module.parameters(), loss, rate, betas, gate=None if name == "encoder" else "learns")
            for name, (module, loss) in scopes.items()
        ]

    def encoder_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """KL divergence from the prior plus reconstruction error in the discriminator's features; no adversarial
        loss."""
        features = self.encoder(images)
        latents, _ = self.posterior.rsample(features, 1)
        kl = self.posterior.kl(features).sum(-1).mean()
        reconstruction = self.distance(self.look(images)[0], self.look(self.decoder(latents[0]))[0])
        return {"loss": self.config.kl * kl + reconstruction, "kl": kl, "reconstruction": reconstruction}

    def decoder_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """γ times the reconstruction error minus the discriminator's loss on fakes."""
        encoded, free = self.latents(images)
        reconstructed = self.decoder(encoded)
        seen, real_logit = self.look(images)
        seen_again, fake_logit = self.look(reconstructed)
        _, free_logit = self.look(self.decoder(free))
        costs = Costs.of(real_logit, torch.cat([fake_logit, free_logit]))
        reconstruction = self.distance(seen, seen_again)
        learns = self.gates(costs)[0]
        loss = self.config.reconstruction * reconstruction - costs.fake
        return {"loss": loss, "reconstruction": reconstruction, "game": -costs.fake, "learns": learns}

    def discriminator_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Real images against reconstructions and samples; no reconstruction error."""
        encoded, free = self.latents(images)
        with torch.no_grad():
            fakes = [self.decoder(latents) for latents in (encoded, free)]
        real_logit = self.look(images)[1]
        fake_logit = torch.cat([self.look(fake)[1] for fake in fakes])
        costs = Costs.of(real_logit, fake_logit)
        learns = self.gates(costs)[1]
        return {
            "loss": costs.real + costs.fake,
            "real_accuracy": (real_logit > 0).float().mean(),
            "fake_accuracy": (fake_logit <= 0).float().mean(),
            "learns": learns,
        }

    def gates(self, costs: Costs) -> tuple[Tensor, Tensor]:
        """Whether decoder and discriminator learn: 1 or 0 each, never both 0. The running statistics of batch norms are
        updated in any case (released code)."""
        worst, best = (choose(costs.real, costs.fake).detach() for choose in (torch.maximum, torch.minimum))
        if self.config.margin is None:
            return torch.ones_like(worst), torch.ones_like(best)
        decoder = worst <= self.config.equilibrium + self.config.margin
        discriminator = best >= self.config.equilibrium - self.config.margin
        neither = ~(decoder | discriminator)
        return (decoder | neither).to(worst), (discriminator | neither).to(best)

    @torch.no_grad()
    def latents(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of the images, and as many from the prior: [B, Z] each."""
        encoded, _ = self.posterior.rsample(self.encoder(images), 1)
        return encoded[0], self.prior(len(images))

    def look(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The discriminator's features [B, F] of images in the compared layer, and its logits [B]."""
        seen = self.discriminator[: self.compared + 1](images)
        logit = self.head(self.discriminator[self.compared + 1 :](seen)).squeeze(-1)
        return full_precision(seen.flatten(1)), full_precision(logit)

    @staticmethod
    def distance(seen: Tensor, seen_again: Tensor) -> Tensor:
        """-log N(seen; seen_again, 1), nats per image. Section 2.3 of the paper."""
        return -diagonal_gaussian_log_prob(seen, seen_again, 1.0).mean()

    def prior(self, n: int) -> Tensor:
        return torch.randn(n, self.config.latent, device=self.head.weight.device)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return self.decoder(latents)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.prior(n))

    @torch.no_grad()
    def traversals(self, images: Tensor, rows: int, columns: int) -> Tensor:
        """Traversals of the latent dimensions that depend most on the image."""
        latents, _ = self.posterior.rsample(self.encoder(images), DRAWN)
        return self.decode(active_traversal(latents, rows, columns))

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        return self.decoder(self.latents(images)[0])

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """The features [B, F] by which images are compared."""
        return self.look(images)[0]
