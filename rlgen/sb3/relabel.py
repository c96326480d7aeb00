"""Rewards of on-policy rollouts from weighted reward sources, between collecting and learning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from rlgen import distributed
from rlgen.data.transitions import Transitions
from rlgen.display import Metric, Panel
from rlgen.errors import InputError, problem
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.rewards.bonus_value import BonusValue
from rlgen.rewards.source import RewardSource
from rlgen.sb3.adaptive_rate import progress_remaining
from rlgen.sb3.log import EpisodeReturns, RoundLog
from rlgen.sb3.rollout import BufferRollout, require_buffer, rollout_of


@dataclass(frozen=True)
class WeightedReward:
    """A reward source and the weight of its reward: a number, or a function of the remaining fraction of the training
    (1 at the start), such as SB3's schedules, to a number or a 0-d tensor. `returns`, if given, records and logs the
    weighted reward per episode. `value`, if given, makes the returns of the reward non-episodic: it is not added to
    other rewards, but its advantages to theirs."""

    source: RewardSource
    weight: float | Callable[[float], float | Tensor] = 1.0
    returns: EpisodeReturns | None = None
    value: BonusValue | None = None

    def weight_at(self, progress_remaining: float) -> float | Tensor:
        return self.weight(progress_remaining) if callable(self.weight) else self.weight

    def reward(self, name: str, batch: Transitions) -> Tensor:
        """Rewards of the source for B transitions, [B], without its weight.

        Raises `InputError` that names the source unless it gives one finite number for each."""
        reward = self._reward(name, batch)
        if not reward.isfinite().all():
            raise self._wrong(name, batch, f"NaN or infinity for {int((~reward.isfinite()).sum())} of them")
        return reward

    def log(self, name: str, metrics: Mapping[str, Tensor], log: RoundLog) -> None:
        """Logs what the source's `update` returned under `name`."""
        for key, value in metrics.items():
            log.record(f"{name}/{key}", value)

    def weighted(
        self, name: str, batch: Transitions, starts: Tensor, progress_remaining: float, log: RoundLog
    ) -> Tensor:
        """Weighted rewards [T, N] of T * N transitions; their mean is logged under `name`. starts [T, N] bool: the step
        is an episode's first."""
        # On a device, the log shows later whether the mean is finite.
        reward = self._reward(name, batch) if log.on_device else self.reward(name, batch)
        log.record(f"{name}/reward", reward.mean())
        weighted = (self.weight_at(progress_remaining) * reward).reshape(starts.shape)
        if self.returns is not None:
            ends = (batch.terminated | batch.truncated).reshape(starts.shape)
            log.record_return(f"{name}/return", self.returns, weighted, starts, ends)
        return weighted

    def _reward(self, name: str, batch: Transitions) -> Tensor:
        reward = self.source.reward(batch)
        if not isinstance(reward, Tensor):
            raise self._wrong(name, batch, f"a {type(reward).__name__}")
        if reward.shape != (len(batch),):
            raise self._wrong(name, batch, f"one of shape {list(reward.shape)}")
        return reward

    def _wrong(self, name: str, batch: Transitions, got: str) -> InputError:
        expected = f"one finite reward per transition, a tensor [{len(batch)}], from the reward source {name!r}"
        return problem(expected, got, f"fix the `reward` of {type(self.source).__name__}")


def readers_of_ends(sources: Mapping[str, WeightedReward]) -> list[str]:
    """Names of the sources that read the last observations of episodes: all except those with
    `reads_next_observations = False`."""
    return [name for name, weighted in sources.items() if getattr(weighted.source, "reads_next_observations", True)]


def reward_panels(label: str = "reward") -> tuple[Panel, ...]:
    """Panels of what a `WeightedReward` logs, without those of its source."""
    return (
        Panel("Intrinsic return per episode", (Metric("return", "bonuses"),)),
        Panel("Reward per step", (Metric("reward", label),)),
    )


def weighted_rewards(sources: Mapping[str, WeightedReward]) -> dict[str, WeightedReward]:
    """Returns `sources`; raises `InputError` unless they are reward sources by name."""
    if isinstance(sources, Mapping) and all(isinstance(each, WeightedReward) for each in sources.values()):
        return dict(sources)
    given = type(sources).__name__
    if isinstance(sources, Mapping):
        given = f"a dictionary of {', '.join(sorted({type(each).__name__ for each in sources.values()}))}"
    raise problem(
        "reward sources by their names, each in a WeightedReward",
        given,
        'write e.g. Relabel({"mine": WeightedReward(source)})',
    )


class Relabel(BaseCallback):
    """Replaces the rewards of every rollout by the weighted sum of reward sources, before the policy learns from it.

    With `adds` the sum is added to the current rewards instead: those of the environment, or those that an earlier
    `Relabel` among the callbacks has set. A list of them thus adds up; one with several sources gives the same rewards
    and computes advantages once. Without `adds`, the task's reward is part of the sum with the weight `task_weight`.
    `scale`, if given, normalizes the sum to returns of unit variance. Its statistics include rewards with non-episodic
    returns, and their advantages are divided by the same number, so that weights mean the same.

    `rlgen.sb3.rollout` hides whether the rollout is in SB3's buffer or on a device. Actions reach the sources as the
    environment received them, and observations raw, also under a VecNormalize, whose normalized numbers change their
    meaning as it learns.
    """

    model: OnPolicyAlgorithm

    def __init__(
        self,
        sources: Mapping[str, WeightedReward],
        scale: ReturnNormalizer | None = None,
        *,
        adds: bool = False,
        task_weight: float = 0.0,
    ):
        super().__init__()
        self.task_weight = task_weight
        self.sources, self.scale, self.adds = weighted_rewards(sources), scale, adds

    def _init_callback(self) -> None:
        if any(weighted.value is not None for weighted in self.sources.values()):
            require_buffer(self.model, "non-episodic returns")
        self.rollout = rollout_of(self.model, readers_of_ends(self.sources))
        if not self.rollout.log.on_device:
            distributed.require_single_process(type(self.model).__name__)

    def _on_rollout_start(self) -> None:
        self.progress = progress_remaining(self.model)
        self.rollout.begin()

    def _on_step(self) -> bool:
        self.rollout.record(self.locals)
        return True

    def _on_rollout_end(self) -> None:
        """One round of Ho & Ermon 2016, Alg. 1, from the rollout that SB3 has collected (line 3) to the policy step of
        line 5, which is SB3's `train` and comes next."""
        rollout, rewards = self.rollout, self.earlier_rewards()
        apart: dict[str, Tensor] = {}
        if self.sources:
            batch = rollout.transitions()  # line 3: the policy's trajectories
        for name, weighted in self.sources.items():
            metrics = weighted.source.update(batch)  # line 4: for GAIL, the discriminator's gradient steps
            weighted.log(name, metrics, rollout.log)
            reward = self.weighted(name, weighted, batch)  # line 5: the cost, here a reward
            if weighted.value is None:
                rewards += reward
            else:
                weighted.value.warn_of_falls(batch.terminated)
                apart[name] = reward
        rollout.set_rewards(self.scaled(rewards, apart))
        for name, reward in apart.items():
            self.add_advantages(name, reward)
        rollout.bootstrap_time_limits()
        rollout.compute_advantages()  # line 5: Q(s, a), as advantages

    def earlier_rewards(self) -> Tensor:
        """[T, N]: the rewards that the sum is added to."""
        if self.adds:
            return self.rollout.rewards.clone()
        if self.task_weight:
            return self.task_weight * self.rollout.task_rewards
        return torch.zeros_like(self.rollout.rewards)

    def weighted(self, name: str, weighted: WeightedReward, batch: Transitions) -> Tensor:
        """[T, N]: the weighted rewards of a source, on the rollout's device."""
        starts = self.rollout.starts.to(batch.terminated.device)
        return weighted.weighted(name, batch, starts, self.progress, self.rollout.log).to(self.rollout.rewards.device)

    def scaled(self, rewards: Tensor, apart: Mapping[str, Tensor]) -> Tensor:
        """[T, N]: `rewards` in the unit in which, together with those `apart`, their returns have unit standard
        deviation, if there is a `scale`."""
        if self.scale is None:
            return rewards
        self.scale.update(sum(apart.values(), rewards), self.rollout.starts.float())
        return self.scale(rewards)

    def add_advantages(self, name: str, reward: Tensor) -> None:
        """Adds the advantages of the weighted rewards [T, N] of a source with non-episodic returns."""
        rollout, weighted = self.rollout, self.sources[name]
        assert isinstance(rollout, BufferRollout)
        assert weighted.value is not None
        advantages, metrics = weighted.value.advantages(rollout.stream(), reward, self.model.gae_lambda)
        weighted.log(name, metrics, rollout.log)
        rollout.add_advantages(advantages if self.scale is None else self.scale.unclipped(advantages))
