"""Generative adversarial networks, GANs (Goodfellow et al. 2014, 1406.2661), with a choice of divergences."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, below_one, one_of, positive, widths
from rlgen.display import Metric, Panel, under
from rlgen.equations.divergences import DIVERGENCES, GENERATOR_DIVERGENCES
from rlgen.equations.penalties import Critic
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.nn.discriminator_loss import discriminator_loss, penalty_metrics
from rlgen.nn.layers import Maxout, full_precision, mlp
from rlgen.nn.penalties import Penalty, PenaltyConfig, penalty_panels

if TYPE_CHECKING:
    DivergenceName = str
else:
    DivergenceName = Literal[*GENERATOR_DIVERGENCES]


@dataclass(frozen=True, kw_only=True)
class AdversarialGameConfig:
    """Configuration that all GANs share, independent of their networks."""

    latent: int = 100
    """Latent dimension."""
    divergence: DivergenceName = "non_saturating"
    """Divergence that determines the losses; those named f_… are from f-GAN (Nowozin et al. 2016, 1606.00709)."""
    discriminator_turns: int = 1
    """Steps of the discriminator per step of the generator, each on separate images."""
    generator_rate: float = 2e-4
    """Learning rate of Adam for the generator."""
    discriminator_rate: float = 2e-4
    """Learning rate of Adam for the discriminator."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Betas of Adam (Radford et al. 2016, 1511.06434, section 4)."""
    penalties: PenaltyConfig = field(default_factory=PenaltyConfig)
    """Penalties of the discriminator."""

    def __post_init__(self) -> None:
        at_least(self, 1, "latent", "discriminator_turns")
        positive(self, "generator_rate", "discriminator_rate")
        one_of(self, "divergence", GENERATOR_DIVERGENCES)
        self.penalties.refuse_for_loss(self.divergence, DIVERGENCES[self.divergence])


def game_panels(level: str = "") -> tuple[Panel, ...]:
    """Panels of a generator and a discriminator whose names end in `level`."""
    discriminator, generator = f"discriminator{level}", f"generator{level}"
    parts = ("divergence", "penalty")
    return (
        Panel(
            "Discriminator right on",
            (
                Metric(f"{discriminator}/real_accuracy", "real images"),
                Metric(f"{discriminator}/fake_accuracy", "fakes"),
            ),
            limits=(0, 1),
            line=0.5,
        ),
        Panel(
            "Losses of the players",
            (Metric(f"{discriminator}/loss", "discriminator"), Metric(f"{generator}/loss", "generator")),
        ),
        Panel("Parts of the discriminator's loss", tuple(Metric(f"{discriminator}/{part}", part) for part in parts)),
        *under(discriminator, penalty_panels()),
    )


class AdversarialGame(ImageModel):
    """A generator [n, Z] → [n, C, H, W] in [0, 1] and a discriminator [B, C, H, W] → [B, 1]; logit > 0 means real.

    The discriminator's last layer is linear. `penalties` replace those of the configuration.
    """

    averaged = ("generator",)
    panels = game_panels()
    collapse_remedy = (
        "train for longer, lower the generator's learning rate, raise the discriminator's or its number of steps "
        "(discriminator-turns), add an R1 penalty (penalties.r1 0.1), or use --model improved_gan, whose discriminator "
        "compares the images of a minibatch"
    )
    config: AdversarialGameConfig

    def __init__(
        self,
        shape: ImageShape,
        config: AdversarialGameConfig,
        generator: nn.Module,
        discriminator: nn.Sequential,
        penalties: Sequence[Penalty] | None = None,
    ):
        super().__init__(shape, config)
        self.divergence = DIVERGENCES[config.divergence]
        self.penalties = list(config.penalties.chosen() if penalties is None else penalties)
        self.stateful_penalties = nn.ModuleList([each for each in self.penalties if isinstance(each, nn.Module)])
        self.body = tuple(discriminator)[:-1]
        """The discriminator's layers except the last one, without wrappers of penalties."""
        network: nn.Module = discriminator
        for penalty in self.penalties:
            network = penalty.wrap(network)
        self.generator, self.discriminator = generator, network

    def players(self) -> Sequence[Player]:
        config = self.config
        critic = nn.ModuleList([self.discriminator, self.stateful_penalties]).parameters()
        return (
            Player(
                "discriminator",
                critic,
                self.discriminator_loss,
                config.discriminator_rate,
                config.betas,
                config.discriminator_turns,
                second_gradients=any(getattr(penalty, "second_gradients", False) for penalty in self.penalties),
            ),
            Player("generator", self.generator.parameters(), self.generator_loss, config.generator_rate, config.betas),
        )

    def discriminator_loss(self, real: Tensor, condition: Tensor | None = None) -> Terms:
        """The discriminator's loss: the inner loop of algorithm 1."""
        with torch.no_grad():
            fake = self.fakes(len(real), condition)
        critic = self.critic(condition)
        return self.discriminator_terms(critic, real, fake, critic(real), critic(fake))

    def generator_loss(self, real: Tensor, condition: Tensor | None = None) -> Terms:
        """The generator's loss: the outer loop of algorithm 1."""
        fake = self.fakes(len(real), condition)
        return {"loss": self.divergence.generator_loss(self.critic(condition)(fake))}

    def discriminator_terms(
        self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor
    ) -> Terms:
        """The discriminator's loss for images [B, C, H, W] with the logits [B] of `critic`."""
        found = discriminator_loss(self.divergence, self.penalties, critic, real, fake, real_logit, fake_logit)
        parts = {"divergence": found.loss, "penalty": found.penalty} if self.penalties else {}
        return {
            "loss": found.loss + found.penalty,
            "real_accuracy": found.real_accuracy,
            "fake_accuracy": found.fake_accuracy,
            **parts,
            **penalty_metrics(self.penalties),
        }

    def fakes(self, n: int, condition: Tensor | None = None) -> Tensor:
        """Images [n, C, H, W] of latents from the prior. `condition` [n, ...]: a further input of the generator in
        conditional subclasses."""
        return self.generator(self.prior(n))

    def critic(self, condition: Tensor | None = None) -> Critic:
        """A function from images [B, C, H, W] to logits [B], given `condition` [B, ...] in conditional subclasses."""
        return self.logit

    def logit(self, images: Tensor) -> Tensor:
        """Logits [B] of images [B, C, H, W]."""
        return full_precision(self.discriminator(images).squeeze(-1))

    def prior(self, n: int) -> Tensor:
        return torch.randn(n, self.config.latent, device=next(self.generator.parameters()).device)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return self.generator(latents)

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.fakes(n, labels)


@dataclass(frozen=True, kw_only=True)
class GANConfig(AdversarialGameConfig):
    """Configuration of `GAN`: the perceptrons of the paper's released code for MNIST.

    Differs from the paper: Adam instead of gradient descent with momentum; no dropout, an R1 penalty, and learning
    rates for these, because with dropout and without a penalty the generator collapses when trained with Adam.
    """

    generator_rate: float = 1e-3
    """Learning rate of Adam for the generator."""
    discriminator_rate: float = 1e-3
    """Learning rate of Adam for the discriminator."""
    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=0.1))
    """Penalties of the discriminator."""
    generator_hidden: tuple[int, ...] = (1200, 1200)
    """Widths of the generator's ReLU layers."""
    discriminator_hidden: tuple[int, ...] = (240, 240)
    """Widths of the discriminator's maxout layers."""
    pieces: int = 5
    """Number of linear functions per maxout unit."""
    dropout: float = 0.0
    """Dropout probability of the discriminator's hidden units, 0 to below 1 (the paper: 0.5); for its inputs it is
    multiplied by 0.4."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "pieces")
        widths(self, "generator_hidden", "discriminator_hidden")
        below_one(self, "dropout", remedy="use 0 for none")


class GAN(AdversarialGame):
    """A GAN of perceptrons: a generator with ReLU and sigmoid outputs, a discriminator with maxout and dropout."""

    config_type = GANConfig

    def __init__(self, shape: ImageShape, config: GANConfig | None = None, penalties: Sequence[Penalty] | None = None):
        config = config or GANConfig()
        generator = nn.Sequential(
            mlp([config.latent, *config.generator_hidden, shape.numbers], nn.ReLU),
            nn.Sigmoid(),
            nn.Unflatten(-1, shape.chw),
        )
        super().__init__(shape, config, generator, _maxout_discriminator(shape, config), penalties)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Outputs [B, F] of the discriminator's last hidden layer for images [B, C, H, W]."""
        for layer in self.body[:-1]:  # without the last dropout
            images = layer(images)
        return images


def _maxout_discriminator(shape: ImageShape, config: GANConfig) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten(), nn.Dropout(0.4 * config.dropout)]
    for fan_in, fan_out in pairwise([shape.numbers, *config.discriminator_hidden]):
        layers += [Maxout(fan_in, fan_out, config.pieces), nn.Dropout(config.dropout)]
    width = [shape.numbers, *config.discriminator_hidden][-1]
    return nn.Sequential(*layers, nn.Linear(width, 1))
