"""f-GAN (Nowozin et al. 2016, 1606.00709): a generator that minimizes one of seven f-divergences to the data."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Self

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
GENERATOR_RATES = {
    **dict.fromkeys(("f_kl", "f_pearson", "f_jensen_shannon", "f_jeffreys"), 5e-4),
    **dict.fromkeys(("f_reverse_kl", "f_neyman", "f_squared_hellinger"), 1e-3),
}
"""Learning rate of the generator by divergence, for a discriminator of 1e-3. With a T at most linear in the logit the
discriminator should learn faster, or it soon recognizes hardly more than half of the fakes and they stay of few kinds.
With T = -e^-logit or 1 - e^-logit it should not: fakes that it recognizes with certainty have losses, and gradients,
that grow exponentially, and Neyman's then diverge; on MNIST they do at equal rates too."""


@dataclass(frozen=True, kw_only=True)
class FGANConfig(AdversarialGameConfig):
    """Configuration of `FGAN`: the perceptrons of Nowozin et al. 2016 (1606.00709), section 4.2, for MNIST.

    Differs from the paper:

    - Normal latents instead of uniform ones, because the other GANs of this library use them.
    - The objective of section 3.2, higher learning rates and an R1 penalty, in the spirit of Roth et al. 2017
      (1705.09367). At the paper's 2e-4 the generator makes few kinds of images for some thousand updates. The bound of
      Algorithm 1 weights a fake by its estimated density ratio for KL and squared Hellinger, so that only the best
      fakes are learned from, and by none for Pearson where it is easy to recognize. R1 is stronger than that of `GAN`,
      because most of these losses are not bounded by the discriminator's certainty.
    """

    generator_rate: float | None = None  # type: ignore[assignment]
    """Learning rate of Adam for the generator; by default that of the divergence, 5e-4 or 1e-3
    (`rlgen.generators.fgan.GENERATOR_RATES`)."""
    discriminator_rate: float = 1e-3
    """Learning rate of Adam for the discriminator."""
    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=1.2))
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
        one_of(self, "objective", ("bound", "activation"))
        widths(self, "generator_hidden", "discriminator_hidden")

    def complete(self) -> Self:
        """The configuration with the generator's learning rate of its divergence, if it has none."""
        rate = GENERATOR_RATES[self.divergence] if self.generator_rate is None else self.generator_rate
        return replace(self, generator_rate=rate)


class FGAN(AdversarialGame):
    """An f-GAN. It logs `bound`, the discriminator's lower bound on the divergence of data and generated images."""

    config_type = FGANConfig
    panels = (
        *AdversarialGame.panels,
        Panel("Divergence from the data, at least", (Metric("discriminator/bound", "bound"),)),
    )

    def __init__(self, shape: ImageShape, config: FGANConfig | None = None, penalties: Sequence[Penalty] | None = None):
        config = (config or FGANConfig()).complete()
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
