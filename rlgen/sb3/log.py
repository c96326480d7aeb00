"""The logs of a training: its one TensorBoard folder, and the numbers of a round."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import configure_logger
from torch import Tensor

from rlgen import distributed
from rlgen.equations.policy_gradient import discounted_sums
from rlgen.sb3.plain_pickle import own_array, plain


class OwnLog:
    """Keeps a training in one TensorBoard folder. If the step count continues, SB3 assumes a continuation and logs into
    the newest folder, even that of another training. Here the first block opens a new folder, as SB3's own first
    `learn` does, and later blocks continue in it."""

    def __init__(self) -> None:
        self.logger: Logger | None = None

    @contextmanager
    def of(self, model: BaseAlgorithm, name: str) -> Iterator[None]:
        """Within the block, `model` logs to this training's folder, NAME_1, NAME_2 …; a model with a logger of the
        user's (`model.set_logger`) keeps it."""
        if model._custom_logger:
            yield
            return
        if self.logger is None:
            self.logger = configure_logger(model.verbose, model.tensorboard_log, name, reset_num_timesteps=True)
        model.set_logger(self.logger)
        try:
            yield
        finally:
            model._custom_logger = False


class EpisodeReturns:
    """Undiscounted returns of the last `window` episodes of N environments, for any rewards. An episode that a reset
    ends early does not count."""

    def __init__(self, n_envs: int, window: int = 100):
        self.running: np.ndarray | Tensor = np.zeros(n_envs)
        self.finished: deque[float] = deque(maxlen=window)

    def add(self, rewards: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """Adds rewards [T, N]; starts and ends [T, N] bool: the step is the first, or the last, of an episode."""
        for reward, start, end in zip(rewards, starts, ends, strict=True):
            self.running = np.where(start, 0.0, self.running) + reward
            self.finished.extend(self.running[end].tolist())

    def add_on_device(self, rewards: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
        """Like `add`, for tensors, which stay on their device. Returns the sum over the episodes that ended, which
        `mean` does not include."""
        before = torch.as_tensor(self.running, device=rewards.device)
        sums = discounted_sums(rewards.double(), before, 1.0, starts.double())
        self.running = sums[-1]
        return (sums * ends).sum()

    def mean(self) -> float | None:
        """Mean return of those episodes; None before the first has ended."""
        return float(np.mean(self.finished)) if self.finished else None

    def state_dict(self) -> dict[str, Any]:
        return plain({"running": torch.as_tensor(self.running).cpu().clone(), "finished": list(self.finished)})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.running = own_array(state["running"])
        self.finished = deque(state["finished"], self.finished.maxlen)


class RoundLog(Protocol):
    """Log of a round's numbers."""

    @property
    def on_device(self) -> bool:
        """Whether the numbers stay on a device, so that none may be read before the policy has learned."""

    def record(self, name: str, value: Tensor) -> None:
        """Logs a 0-d tensor."""

    def record_return(self, name: str, returns: EpisodeReturns, rewards: Tensor, starts: Tensor, ends: Tensor) -> None:
        """Adds rewards [T, N] of episodes with the given starts and ends [T, N] to `returns`, and logs their mean per
        episode."""


class HostLog:
    """The logger of an SB3 model."""

    on_device = False

    def __init__(self, model: BaseAlgorithm):
        self.model = model

    def record(self, name: str, value: Tensor) -> None:
        self.model.logger.record(name, float(value))

    def record_return(self, name: str, returns: EpisodeReturns, rewards: Tensor, starts: Tensor, ends: Tensor) -> None:
        returns.add(*(each.cpu().numpy() for each in (rewards, starts, ends)))
        if (mean := returns.mean()) is not None:
            self.model.logger.record(name, mean)


class DeviceLog:
    """A log whose numbers stay on their device until `take` copies all of a round to the host, together."""

    on_device = True

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}
        self.episode_sums: dict[str, Tensor] = {}

    def record(self, name: str, value: Tensor) -> None:
        self.values[name] = value

    def record_episodes(self, name: str, total: Tensor) -> None:
        """Logs a sum over the episodes that ended in the round, divided by their number."""
        self.episode_sums[name] = total

    def record_return(self, name: str, returns: EpisodeReturns, rewards: Tensor, starts: Tensor, ends: Tensor) -> None:
        self.record_episodes(name, returns.add_on_device(rewards, starts, ends))

    def take(self, episodes: Tensor) -> tuple[dict[str, float], dict[str, float]]:
        """The round's numbers, and its means over the `episodes` (a count) that ended, empty if there were none; both
        are means over all processes. Empties the log."""
        names = [*self.values, *self.episode_sums]
        tensors = (*self.values.values(), *self.episode_sums.values(), episodes)
        together = torch.stack([each.double() for each in tensors])
        *numbers, count = distributed.all_reduce_mean(together).tolist()
        found = dict(zip(names, numbers, strict=True))
        means = {name: found.pop(name) / count if count else 0.0 for name in self.episode_sums}
        self.values, self.episode_sums = {}, {}
        return found, means if count else {}
