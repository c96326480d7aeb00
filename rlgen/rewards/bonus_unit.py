"""Running normalization of bonuses and of rewards."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen import distributed
from rlgen.checks import at_least, below_one, one_of, positive
from rlgen.deprecation import UNLESS_DEFAULT, UNLESS_NONE
from rlgen.display import Metric, Panel
from rlgen.equations.gaussians import merge_moments
from rlgen.equations.policy_gradient import discounted_sums
from rlgen.errors import problem

SHARES = (10, 50, 90)
"""Logged percentiles, evenly spaced."""


def quantiles(values: Float[Tensor, " B"]) -> Float[Tensor, "3"]:
    """The 10th, 50th and 90th percentile of the values."""
    low, _, high = SHARES
    return torch.quantile(values, torch.linspace(low / 100, high / 100, len(SHARES), device=values.device))


def quantile_metrics(name: str, percentiles: Float[Tensor, "3"]) -> dict[str, Tensor]:
    """Log entries `name_10`, `name_50`, `name_90`."""
    return {f"{name}_{share}": value for share, value in zip(SHARES, percentiles, strict=True)}


def quantile_panel(title: str, name: str) -> Panel:
    """The panel of what `quantile_metrics` logs."""
    labels = {10: "10 %", 50: "median", 90: "90 %"}
    return Panel(title, tuple(Metric(f"{name}_{share}", labels[share]) for share in reversed(SHARES)))


BONUS = quantile_panel("Bonus per step: quantiles", "bonus")
SMALLEST = 1e-30
"""Smallest unit, far below any bonus."""


Unit = Literal["medians", "returns", "largest", "none"]


@dataclass(frozen=True, kw_only=True)
class UnitConfig:
    """Settings of the unit that bonuses are measured in. A comparison of bonuses needs the same unit for all."""

    own_unit: ClassVar[Unit] = "none"
    """The unit by default."""

    unit: Unit | None = field(default=None, metadata=UNLESS_NONE)
    """Unit of the bonus; by default that of its paper. medians: the mean of the median bonuses of the last rollouts, so
    that a usual bonus stays 1 however little there is left to learn; returns: the standard deviation of the discounted
    sums of all bonuses so far, so that bonuses shrink as there is less to learn; largest: the largest bonus so far;
    none: no division."""
    gamma: float = field(default=0.99, metadata=UNLESS_DEFAULT)
    """Discount factor of the sums of the unit `returns`."""
    medians: int = field(default=10, metadata=UNLESS_DEFAULT)
    """Number of rollouts whose medians the unit `medians` averages."""
    highest: float | None = field(default=None, metadata=UNLESS_NONE)
    """Upper limit of the bonus in its unit; by default none. A limit near 10 keeps rare accidents from outweighing all
    else."""

    def __post_init__(self) -> None:
        if self.unit is not None:
            one_of(self, "unit", get_args(Unit))
        below_one(self, "gamma", remedy="use e.g. 0.99")
        at_least(self, 1, "medians")
        positive(self, "highest")

    def make_unit(self, n_envs: int) -> "BonusUnit":
        """The unit for rollouts of `n_envs` environments."""
        unit = self.unit or self.own_unit
        if unit == "medians":
            return RecentMedians(self.medians, self.highest)
        if unit == "returns":
            return DiscountedReturnStd(n_envs, self.gamma, self.highest)
        return LargestSoFar(self.highest) if unit == "largest" else BonusUnit(self.highest)


class BonusUnit(nn.Module):
    """Normalizes bonuses by running statistics of past ones, which only `merge` changes. `highest`, if given, is the
    upper limit of the result."""

    def __init__(self, highest: float | None = None):
        super().__init__()
        self.highest = highest

    def merge(self, bonus: Float[Tensor, " B"]) -> None:
        """Updates the statistics with the bonuses of a rollout [T * N], time-major."""

    def forward(self, bonus: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """The normalized bonuses."""
        divided = self.divided(bonus)
        return divided if self.highest is None else divided.clamp(max=self.highest)

    def divided(self, bonus: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """The bonuses in this unit, without the limit."""
        return bonus


class RecentMedians(BonusUnit):
    """Divides by the mean of the medians of the last `rollouts` rollouts. Houthooft et al. 2016 (1605.09674), section
    2.5, for the information gain.

    Differs from the paper: the first rollout, which an untrained model has rewarded, has bonuses of 0 and no part in
    the mean.
    """

    recent: Tensor
    merged: Tensor

    def __init__(self, rollouts: int, highest: float | None = None):
        super().__init__(highest)
        self.register_buffer("recent", torch.zeros(rollouts))
        self.register_buffer("merged", torch.zeros((), dtype=torch.int64))

    def merge(self, bonus: Float[Tensor, " B"]) -> None:
        median = distributed.all_reduce_mean(torch.where(torch.isfinite(bonus), bonus, torch.nan).nanmedian())
        usable = (self.merged > 0) & torch.isfinite(median)
        place = (torch.arange(len(self.recent), device=bonus.device) == (self.merged - 1) % len(self.recent)) & usable
        self.recent.copy_(torch.where(place, median, self.recent))
        self.merged.add_(usable | (self.merged == 0))

    def divided(self, bonus: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        rollouts = (self.merged - 1).clamp(max=len(self.recent))
        unit = (self.recent.sum() / rollouts.clamp(min=1)).clamp(min=SMALLEST)
        return torch.where(rollouts > 0, bonus / unit, torch.zeros_like(bonus))


class LargestSoFar(BonusUnit):
    """Divides by the largest bonus so far. Stadie, Levine & Abbeel 2015 (1507.00814), the normalized error."""

    largest: Tensor

    def __init__(self, highest: float | None = None) -> None:
        super().__init__(highest)
        self.register_buffer("largest", torch.zeros(()))

    def merge(self, bonus: Float[Tensor, " B"]) -> None:
        self.largest.copy_(torch.maximum(self.largest, distributed.all_reduce_max(finite(bonus).max())))

    def divided(self, bonus: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        return divided(bonus, self.largest)


class DiscountedReturnStd(BonusUnit):
    """Divides by the standard deviation of all discounted sums of bonuses so far. Burda et al. 2018 (1810.12894), 2.4.

    As in the released code, each step contributes the sum up to it, across the ends of episodes and rollouts. With
    `starts` the sums restart at every episode, as `ReturnNormalizer` divides rewards. With a `half_life`, sums of that
    many steps ago count half.
    """

    sums: Tensor
    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, n_envs: int, gamma: float, highest: float | None = None, half_life: float | None = None):
        super().__init__(highest)
        self.n_envs, self.gamma, self.half_life = n_envs, gamma, half_life
        self.register_buffer("sums", torch.zeros(n_envs, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("var", torch.ones((), dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def merge(self, bonus: Float[Tensor, " B"], starts: Float[Tensor, "T N"] | None = None) -> None:
        """`starts`, if given: 1 where a step starts an episode, else 0."""
        if len(bonus) % self.n_envs:
            got = f"a rollout of {len(bonus)}"
            raise problem(f"as many steps of each of {self.n_envs} environments", got, "pass whole rollouts [T * N]")
        sums = discounted_sums(finite(bonus).double().unflatten(0, (-1, self.n_envs)), self.sums, self.gamma, starts)
        self.sums.copy_(sums[-1])
        if self.half_life is not None:
            self.count.mul_(0.5 ** (len(bonus) * distributed.world_size() / self.half_life))
        own = sums.mean(), sums.var(correction=0), torch.full_like(self.count, sums.numel())
        kept = self.mean, self.var, self.count
        for moments in zip(*(distributed.all_gather(each[None]) for each in own), strict=True):
            for old, new in zip(kept, merge_moments(*kept, *moments), strict=True):
                old.copy_(new)

    @property
    def std(self) -> Float[Tensor, ""]:
        """The standard deviation; 1 while all sums were the same."""
        std = self.var.sqrt()
        return torch.where(std > 0, std, 1)

    def divided(self, bonus: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        return divided(bonus, self.std)


def finite(bonus: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Replaces NaN and infinity by 0, so that they never enter statistics."""
    return torch.where(torch.isfinite(bonus), bonus, 0)


def divided(bonus: Float[Tensor, " B"], unit: Float[Tensor, ""]) -> Float[Tensor, " B"]:
    """Bonuses divided by `unit`, however small it is; unchanged while it is 0, before the first nonzero bonus."""
    return bonus / torch.where(unit > 0, unit, 1).to(bonus.dtype)


Rewards = TypeVar("Rewards", np.ndarray, Tensor)


class ReturnNormalizer:
    """Divides rewards by the running standard deviation of the discounted returns so far. Engstrom et al. 2020
    (2005.12729), section 2, "reward scaling"; Stable-Baselines3's VecNormalize does the same to task rewards.

    Differs from it: sees the rewards that the policy learns from, whole rollouts at a time, and includes each rollout
    in the statistics that divide it. Rewards keep their sign and zero stays zero. With a `half_life`, returns of that
    many environment steps ago count half, so that rare jumps are forgotten.
    """

    def __init__(self, gamma: float, n_envs: int, clip: float = 10.0, half_life: float | None = None):
        self.return_std, self.clip = DiscountedReturnStd(n_envs, gamma, half_life=half_life), clip

    def update(self, rewards: np.ndarray | Tensor, episode_starts: np.ndarray | Tensor) -> None:
        """Updates the statistics with a rollout. Rewards [T, N]; episode_starts [T, N]: the step starts an episode."""
        values = torch.as_tensor(rewards)
        self.return_std.to(values.device).merge(values.flatten(), torch.as_tensor(episode_starts))

    def __call__(self, rewards: Rewards) -> Rewards:
        """Rewards [T, N] divided by the standard deviation of returns and clipped; the same type as the input. Values
        that are not finite stay so: a clip would hide them from the check that stops the training."""
        given = torch.as_tensor(rewards)
        divided = self.return_std(given.flatten()).clamp(-self.clip, self.clip).reshape(given.shape)
        divided = torch.where(torch.isfinite(given), divided, given)
        return divided if isinstance(rewards, Tensor) else divided.numpy()

    def unclipped(self, advantages: Float[Tensor, "T N"]) -> Float[Tensor, "T N"]:
        """Advantages in the unit of the rewards. They may be those of rewards that are not among the divided ones."""
        return advantages / self.return_std.std.to(advantages)

    def state_dict(self) -> dict[str, Any]:
        """A copy that does not change when the statistics do."""
        own = {name: value.clone() for name, value in self.return_std.state_dict().items()}
        return {"running": own.pop("sums"), **own}  # the name in checkpoints

    def load_state_dict(self, state: dict[str, Any]) -> None:
        values = {name: torch.as_tensor(value) for name, value in state.items()}
        self.return_std.load_state_dict({"sums": values.pop("running"), **values})
