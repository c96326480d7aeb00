"""The unit of a bonus: what running statistics divide it by."""

from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen import distributed
from rlgen.equations.statistics import merge_moments
from rlgen.errors import problem

SHARES = (10, 50, 90)
"""In 100, evenly apart."""


def spread_of(values: Float[Tensor, " B"]) -> Float[Tensor, "3"]:
    """The values that 10, 50 and 90 in 100 of them stay below."""
    low, _, high = SHARES
    return torch.quantile(values, torch.linspace(low / 100, high / 100, len(SHARES), device=values.device))


def named(name: str, spread: Float[Tensor, "3"]) -> dict[str, Tensor]:
    """For a log: `name_10`, `name_50`, `name_90`."""
    return {f"{name}_{share}": value for share, value in zip(SHARES, spread, strict=True)}


class BonusUnit(nn.Module):
    """Pays bonuses in their own unit. A subclass divides them by what it has seen of them; it moves in `merge` only."""

    def merge(self, bonus: Float[Tensor, " B"]) -> None:
        """Take the bonuses of a rollout [T * N], time-major, into the statistics."""

    def forward(self, bonus: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Bonuses as they are paid."""
        return bonus


class LargestSoFar(BonusUnit):
    """The largest of all bonuses so far is 1. Stadie, Levine & Abbeel 2015 (1507.00814), the normalised error."""

    largest: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("largest", torch.zeros(()))

    def merge(self, bonus: Float[Tensor, " B"]) -> None:
        self.largest.copy_(torch.maximum(self.largest, distributed.all_reduce_max(finite(bonus).max())))

    def forward(self, bonus: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        return divided(bonus, self.largest)


class ReturnSpread(BonusUnit):
    """The standard deviation of the discounted sums of all bonuses so far is 1. Burda et al. 2018 (1810.12894), 2.4.

    At each step, as in the released code, the sum of what was paid until then, over the ends of episodes and rollouts.
    With `starts` the sums begin anew with every episode: `rewards.scale.ReturnScale` divides whole rewards so.
    """

    sums: Tensor
    mean: Tensor
    var: Tensor
    count: Tensor

    def __init__(self, n_envs: int, gamma: float):
        super().__init__()
        self.n_envs, self.gamma = n_envs, gamma
        self.register_buffer("sums", torch.zeros(n_envs, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("var", torch.ones((), dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.float64))

    def merge(self, bonus: Float[Tensor, " B"], starts: Float[Tensor, "T N"] | None = None) -> None:
        """`starts`, if given: 1 where a step begins an episode, else 0."""
        if len(bonus) % self.n_envs:
            came = f"a rollout of {len(bonus)}"
            raise problem(f"as many steps of each of {self.n_envs} environments", came, "pass whole rollouts [T * N]")
        sums = discounted_sums(finite(bonus).double().unflatten(0, (-1, self.n_envs)), self.sums, self.gamma, starts)
        self.sums.copy_(sums[-1])
        own = sums.mean(), sums.var(correction=0), torch.full_like(self.count, sums.numel())
        kept = self.mean, self.var, self.count
        for moments in zip(*(distributed.all_gather(each[None]) for each in own), strict=True):
            for old, new in zip(kept, merge_moments(*kept, *moments), strict=True):
                old.copy_(new)

    def forward(self, bonus: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
        return divided(bonus, self.var.sqrt())


def finite(bonus: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """NaN and infinity as 0, so that they never enter statistics."""
    return torch.where(torch.isfinite(bonus), bonus, 0)


def divided(bonus: Float[Tensor, " B"], unit: Float[Tensor, ""]) -> Float[Tensor, " B"]:
    """Bonuses in `unit`, however small it is; as they are where it is 0, before anything was paid."""
    return bonus / torch.where(unit > 0, unit, 1).to(bonus.dtype)


def discounted_sums(
    rewards: Float[Tensor, "T N"],
    before: Float[Tensor, " N"],
    gamma: float,
    starts: Float[Tensor, "T N"] | None = None,
) -> Float[Tensor, "T N"]:
    """At each step t the sum of γ^(t-i) · reward_i over i up to t, going on from the sums `before`; i no earlier than
    the last step up to t where `starts`, if given, is 1.

    Each round doubles how far back the sums reach: log2(T) additions of tensors instead of T of rows.
    """
    sums = rewards.clone()
    goes_on = torch.ones_like(rewards) if starts is None else 1 - starts.to(rewards)
    sums[0] += gamma * goes_on[0] * before
    reach = 1
    while reach < len(sums):
        sums[reach:] += gamma**reach * goes_on[reach:] * sums[:-reach]
        goes_on[reach:] = goes_on[reach:] * goes_on[:-reach]  # no start within twice the reach
        reach *= 2
    return sums


Rewards = TypeVar("Rewards", np.ndarray, Tensor)


class ReturnScale:
    """Divides rewards by the running standard deviation of the discounted returns so far. Engstrom et al. 2020
    (2005.12729), section 2, "reward scaling"; what Stable-Baselines3's VecNormalize does to task rewards.

    Differs from it: sees the rewards that the policy learns from, whole rollouts at a time, and divides a rollout by
    statistics that include it. Rewards keep their sign and zero stays zero.
    """

    def __init__(self, gamma: float, n_envs: int, clip: float = 10.0):
        self.spread, self.clip = ReturnSpread(n_envs, gamma), clip

    def update(self, rewards: np.ndarray | Tensor, episode_starts: np.ndarray | Tensor) -> None:
        """Take a rollout into the statistics. Rewards [T, N]; episode_starts [T, N]: the step begins an episode."""
        paid = torch.as_tensor(rewards)
        self.spread.to(paid.device).merge(paid.flatten(), torch.as_tensor(episode_starts))

    def __call__(self, rewards: Rewards) -> Rewards:
        """Rewards [T, N] divided by the spread of returns, clipped; tensors for tensors. What is not finite stays so: a
        clip would hide it from whoever stops there."""
        given = torch.as_tensor(rewards)
        divided = self.spread(given.flatten()).clamp(-self.clip, self.clip).reshape(given.shape)
        divided = torch.where(torch.isfinite(given), divided, given)
        return divided if isinstance(rewards, Tensor) else divided.numpy()

    def state_dict(self) -> dict[str, Any]:
        """Stays as it is while the statistics move on."""
        own = {name: value.clone() for name, value in self.spread.state_dict().items()}
        return {"running": own.pop("sums"), **own}  # as checkpoints have called it

    def load_state_dict(self, state: dict[str, Any]) -> None:
        values = {name: torch.as_tensor(value) for name, value in state.items()}
        self.spread.load_state_dict({"sums": values.pop("running"), **values})
