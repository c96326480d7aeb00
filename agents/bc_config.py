"""The settings of behavioral cloning, and its result."""

from dataclasses import dataclass, field, replace
from typing import Literal

from rlgen.checks import at_least, below_one, one_of, positive, share
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.errors import problem


@dataclass(frozen=True, kw_only=True)
class BCConfig:
    """Settings of behavioral cloning (Pomerleau 1991) of the mean action."""

    learning_rate: float = 1e-3
    """Adam's learning rate."""
    batch_size: int = 128
    """Rows per gradient step."""
    max_updates: int = 10_000
    """Maximum number of gradient steps of each cloning. The second one of `plain_below`, without dropout and noise, may
    take as many again, and DAgger clones once after every round: with 10 rounds up to 20 times this number in all."""
    held_out: float = 0.1
    """Fraction held out for early stopping: of the episodes if two or more have every step, because rows next to each
    other in time are nearly the same; otherwise of the rows."""
    check_every: int = 100
    """Gradient steps between two evaluations of the held-out rows."""
    patience: int = 30
    """Evaluations without improvement before stopping; the best weights are kept."""
    loss: Literal["squared_error", "log_likelihood"] = "squared_error"
    """Loss. squared_error: of the mean action, in units of half its range; log_likelihood: also fits the noise."""
    dropout: float = 0.1
    """Fraction of the policy's hidden units that each gradient step drops; 0 for none."""
    noise: float = 0.05
    """Standard deviation of the noise on observations while learning, as a fraction of each one's standard deviation.
    Noise makes the policy smooth (Bishop 1995, "Training with noise is equivalent to Tikhonov regularization"). 0 for
    none; discrete observations and pixels get none."""
    attack: Literal["none", "fgsm", "pgd"] = field(default="none", metadata=UNLESS_DEFAULT)
    """Attack on the observations instead of random noise: of all changes of at most `noise` standard deviations per
    number, the one that raises the loss, by fgsm (Goodfellow et al. 2015, 1412.6572) or pgd (Madry et al. 2018,
    1706.06083; 5 steps); none: random noise. With an attack there is no second cloning, which would not know it."""
    plain_below: float = 0.5
    """Fraction of the regularized cloning's typical held-out error below which plain regression, a second cloning
    without dropout and noise, is kept; 0 for no second cloning. Below 1, because held-out rows do not show how a smooth
    policy recovers from its errors. Typical: the geometric mean over rows, which a few outliers do not decide."""
    sequence: int = 32
    """Steps in a row from which a recurrent policy learns; its memory at their start is that after all earlier steps of
    the episode. Other policies learn from single rows."""
    average: float = 0.999
    """Decay per gradient step of the running average of the weights, which is kept; 0 for none. The first steps decay
    faster, so that the average forgets the untrained weights."""

    def __post_init__(self) -> None:
        share(self, "plain_below", remedy="use e.g. 0.5, or 0 for never")
        if not 0 < self.held_out < 1:
            raise problem("held_out between 0 and 1", str(self.held_out), "use e.g. 0.1")
        below_one(self, "dropout", remedy="use e.g. 0.1, or 0 for none")
        at_least(self, 0, "noise", remedy="use e.g. 0.05, or 0 for none")
        one_of(self, "attack", ("none", "fgsm", "pgd"))
        if self.attack != "none" and not self.noise:
            raise problem("the size of the attack, noise, above 0", "0", "use e.g. noise 0.05, or leave attack out")
        below_one(self, "average", remedy="use e.g. 0.999, or 0 for none")
        positive(self, "learning_rate", "batch_size", "max_updates", "check_every", "patience", "sequence")
        if self.check_every > self.max_updates:
            expected = f"check_every of at most max_updates, {self.max_updates}, so that held-out rows are evaluated"
            remedy = f"add e.g. --bc.check-every {self.max_updates} (for a warm start --gail.bc.check-every)"
            raise problem(expected, str(self.check_every), remedy)

    @property
    def most_updates(self) -> int:
        """Maximum number of gradient steps, over both clonings."""
        return self.max_updates * (1 if self.plain() is None else 2)

    def plain(self) -> "BCConfig | None":
        """Settings of the second cloning, without regularization; None if it is off or would repeat the first."""
        return (
            replace(self, dropout=0.0, noise=0.0)
            if self.plain_below and self.attack == "none" and (self.dropout or self.noise)
            else None
        )


@dataclass(frozen=True, kw_only=True)
class BCResult:
    """The result of a cloning."""

    held_out_loss: float
    """Held-out loss of the kept weights."""
    best_update: int
    """Gradient step of the kept weights, counted over both clonings."""
    updates: int
    """Gradient steps done, over both clonings."""
    dropout: float
    """Dropout of the kept cloning."""
    noise: float
    """Noise of the kept cloning."""
    attack: str = "none"
    """Attack of the kept cloning, of the size of its noise."""

    @property
    def kept(self) -> str:
        """The kept cloning: regularized or plain."""
        return "regularised" if self.dropout or self.noise else "plain"

    @property
    def regularization(self) -> str:
        """The regularization of the kept cloning in words."""
        if not (self.dropout or self.noise):
            return "by plain regression"
        change = "noise" if self.attack == "none" else f"{self.attack} within"
        return f"with dropout {self.dropout:g} and {change} {self.noise:g}"
