"""A reward source at its weight, and what episodes earn by it."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.rewards.bonus_unit import discounted_sums
from rlgen.rewards.source import RewardSource
from rlgen.sb3.plain_pickle import own_array, plain


class EpisodeReturns:
    """Undiscounted sums of rewards over the `window` episodes of N environments that ended last, whatever the rewards
    are. An episode that is given up before its end, by a reset, does not count."""

    def __init__(self, n_envs: int, window: int = 100):
        self.running: np.ndarray | Tensor = np.zeros(n_envs)
        self.finished: deque[float] = deque(maxlen=window)

    def add(self, rewards: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """Take in rewards [T, N]; starts and ends [T, N] bool: the step is the first, or the last, of an episode."""
        for reward, start, end in zip(rewards, starts, ends, strict=True):
            self.running = np.where(start, 0.0, self.running) + reward
            self.finished.extend(self.running[end].tolist())

    def add_on_device(self, rewards: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        """The same for tensors, which stay on their device: the sum over the episodes that ended, of which `mean` knows
        nothing."""
        before = torch.as_tensor(self.running, device=rewards.device)
        sums = discounted_sums(rewards.double(), before, 1.0, starts.double())
        self.running = sums[-1]
        return (sums * ends).sum()

    def mean(self) -> float | None:
        """Mean over those episodes; None before the first has ended."""
        return float(np.mean(self.finished)) if self.finished else None

    def state_dict(self) -> dict[str, Any]:
        return plain({"running": torch.as_tensor(self.running).cpu().clone(), "finished": list(self.finished)})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.running = own_array(state["running"])
        self.finished = deque(state["finished"], self.finished.maxlen)


@dataclass(frozen=True)
class Paid:
    """A reward source and the weight of its reward: a number, or a function of the share of the training that is left
    (1 at the start), such as SB3's schedules. `returns`, if given, keeps and logs the weighted reward per episode."""

    source: RewardSource
    weight: float | Callable[[float], float] = 1.0
    returns: EpisodeReturns | None = None

    def weight_at(self, progress_remaining: float) -> float:
        return self.weight(progress_remaining) if callable(self.weight) else self.weight

    def reward(self, name: str, batch: Transitions) -> Tensor:
        """What the source pays for B transitions, [B], without its weight.

        Raises `InputError` that names the source where it does not pay one finite number for each."""
        reward = self.source.reward(batch)
        expected = f"one finite reward per transition, a tensor [{len(batch)}], from the reward source {name!r}"
        remedy = f"mend the `reward` of {type(self.source).__name__}"
        if not isinstance(reward, Tensor):
            raise problem(expected, f"a {type(reward).__name__}", remedy)
        if reward.shape != (len(batch),):
            raise problem(expected, f"one of shape {list(reward.shape)}", remedy)
        if not reward.isfinite().all():
            raise problem(expected, f"NaN or infinity for {int((~reward.isfinite()).sum())} of them", remedy)
        return reward

    def learn_and_pay(
        self, name: str, batch: Transitions, starts: np.ndarray, progress_remaining: float, logger: Logger
    ) -> Tensor:
        """The source learns from T * N new transitions and pays for them: weighted rewards [T * N]. What it says goes
        into the log under `name`. starts [T, N] bool: the step is an episode's first."""
        for key, value in self.source.update(batch).items():
            logger.record(f"{name}/{key}", float(value))
        reward = self.reward(name, batch)
        logger.record(f"{name}/reward", float(reward.mean()))
        weighted = self.weight_at(progress_remaining) * reward
        if self.returns is not None:
            ends = (batch.terminated | batch.truncated).reshape(starts.shape).cpu().numpy()
            self.returns.add(weighted.reshape(starts.shape).cpu().numpy(), starts, ends)
            if (mean := self.returns.mean()) is not None:
                logger.record(f"{name}/return", mean)
        return weighted


def paid_sources(sources: Mapping[str, Paid]) -> dict[str, Paid]:
    """`sources`, or an `InputError` where they are not reward sources under their names."""
    if isinstance(sources, Mapping) and all(isinstance(each, Paid) for each in sources.values()):
        return dict(sources)
    given = type(sources).__name__
    if isinstance(sources, Mapping):
        given = f"a dictionary of {', '.join(sorted({type(each).__name__ for each in sources.values()}))}"
    raise problem("reward sources by their names, each in a Paid", given, 'write e.g. Relabel({"mine": Paid(source)})')
