"""Which penalties a discriminator of images gets, as settings."""

import math
from dataclasses import dataclass

from rlgen.errors import problem
from rlgen.nn.penalties import R1, Entropy, GradientPenalty, Penalty, SpectralNorm


@dataclass(frozen=True, kw_only=True)
class PenaltyConfig:
    """Weights of the penalties; none by default."""

    gradient: float = 0.0
    """Weight of the gradient penalty between real images and fakes (10 in Gulrajani et al. 2017); 0 for none."""
    gradient_centre: float = 1.0
    """Gradient norm that it pulls towards: 1, or 0."""
    r1: float = 0.0
    """Weight of the R1 penalty at real images (Mescheder et al. 2018: 10); 0 for none."""
    entropy: float = 0.0
    """Weight of the entropy of D; 0 for none."""
    spectral_norm: bool = False
    """Divide the discriminator's layers by their largest singular value (Miyato et al. 2018)."""

    def __post_init__(self) -> None:
        for name in ("gradient", "gradient_centre", "r1", "entropy"):
            if not 0 <= getattr(self, name) < math.inf:
                raise problem(f"{name} of at least 0", str(getattr(self, name)), "use 0 for none")

    def refuse_for_batch_norm(self, remedy: str) -> None:
        """Raise `InputError` for penalties that a discriminator with batch norm cannot have."""
        if self.gradient or self.r1:
            raise problem(
                "a gradient penalty on a discriminator whose rows do not influence one another",
                "one with batch norm",
                remedy,
            )

    def chosen(self) -> list[Penalty]:
        """The penalties whose weight is not zero."""
        found: list[Penalty] = [SpectralNorm()] if self.spectral_norm else []
        if self.gradient:
            found.append(GradientPenalty(weight=self.gradient, centre=self.gradient_centre))
        if self.r1:
            found.append(R1(weight=self.r1))
        if self.entropy:
            found.append(Entropy(weight=self.entropy))
        return found
