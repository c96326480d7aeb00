"""f-GAN (Nowozin et al. 2016, 1606.00709): a generator that minimizes one of seven f-divergences to the data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from torch import Tensor, nn

from rlgen.checks import one_of, widths
from rlgen.display import Metric, Panel
from rlgen.equations.divergences import variational
from rlgen.equations.f_divergences import F_DIVERGENCES
from rlgen.equations.penalties import Critic
from rlgen.generators.gan import AdversarialGame, AdversarialGameConfig
from rlgen.generators.image_model import ImageShape, Terms
from rlgen.nn.layers import mlp, normalized_layers
from rlgen.nn.penalties import Penalty, PenaltyConfig

NAMES = tuple(f"f_{name}" for name in F_DIVERGENCES)
if TYPE_CHECKING:
    FDivergenceName = str
else:
    FDivergenceName = Literal[*NAMES]


@dataclass(frozen=True, kw_only=True)
class FGANConfig(AdversarialGameConfig):
    """Configuration of `FGAN`: the perceptrons of Nowozin et al. 2016 (1606.00709), section 4.2, for MNIST.

    Differs from the paper:

    - Normal latents instead of uniform ones, because the other GANs of this library use them.
    - The objective of section 3.2, a learning rate of 1e-3 and an R1 penalty (Roth et al. 2017, 1705.09367, in spirit).
      At the paper's 2e-4 the generator still makes few kinds of images after some thousand updates; the bound of
      Algorithm 1 weights a fake by the estimated ratio of its densities for KL and squared Hellinger, so that the best
      fakes alone are learned, and by none for Pearson where a fake is easy to recognize; and a Neyman discriminator
      without penalty grows without limit.
    """

    generator_rate: float = 1e-3
    """Learning rate of Adam for the generator."""
    discriminator_rate: float = 1e-3
    """Learning rate of Adam for the discriminator."""
    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=0.1))
    """Penalties of the discriminator."""
    divergence: FDivergenceName = "f_kl"
    """Divergence between data and generated images."""
    objective: Literal["bound", "activation"] = "activation"
    """Generator's objective: bound, the bound on the divergence (Algorithm 1); or activation, the discriminator's
    output after its activation, whose gradient does not vanish while fakes are easy to recognize (section 3.2)."""
    generator_hidden: tuple[int, ...] = (1200, 1200)
    """Widths of the generator's layers, with batch norm and ReLU."""
    discriminator_hidden: tuple[int, ...] = (240, 240)
    """Widths of the discriminator's layers, with exponential linear units."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "divergence", NAMES)
        widths(self, "generator_hidden", "discriminator_hidden")


class FGAN(AdversarialGame):
    """An f-GAN. It logs `bound`, the discriminator's lower bound on the divergence of data and generated images."""

    config_type = FGANConfig
    panels = (
        *AdversarialGame.panels,
        Panel("Divergence from the data, at least", (Metric("discriminator/bound", "bound"),)),
    )

    def __init__(self, shape: ImageShape, config: FGANConfig | None = None, penalties: Sequence[Penalty] | None = None):
        config = config or FGANConfig()
        last = [config.latent, *config.generator_hidden][-1]
        generator = nn.Sequential(
            *normalized_layers([config.latent, *config.generator_hidden]),
            nn.Linear(last, shape.numbers),
            nn.Sigmoid(),
            nn.Unflatten(-1, shape.chw),
        )
        discriminator = nn.Sequential(nn.Flatten(), *mlp([shape.numbers, *config.discriminator_hidden, 1], nn.ELU))
        super().__init__(shape, config, generator, discriminator, penalties)
        if config.objective == "activation":
            divergence = F_DIVERGENCES[config.divergence.removeprefix("f_")]
            self.divergence = variational(divergence)._replace(reward=divergence.activation)

    def discriminator_terms(
        self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor
    ) -> Terms:
        """The discriminator's loss, and `bound`, in nats if that is the unit of the divergence (section 3.1)."""
        terms = super().discriminator_terms(critic, real, fake, real_logit, fake_logit)
        return {**terms, "bound": -terms.get("divergence", terms["loss"])}
