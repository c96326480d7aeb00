"""A reward source with its weight."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.display import Metric, Panel
from rlgen.errors import InputError, problem
from rlgen.rewards.source import RewardSource
from rlgen.sb3.log import EpisodeReturns, RoundLog


@dataclass(frozen=True)
class WeightedReward:
    """A reward source and the weight of its reward: a number, or a function of the remaining fraction of the training
    (1 at the start), such as SB3's schedules. `returns`, if given, records and logs the weighted reward per episode."""

    source: RewardSource
    weight: float | Callable[[float], float] = 1.0
    returns: EpisodeReturns | None = None

    def weight_at(self, progress_remaining: float) -> float:
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
