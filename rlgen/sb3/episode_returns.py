"""What an agent was paid per episode, over the last episodes."""

from collections import deque
from typing import Any

import numpy as np


class EpisodeReturns:
    """Undiscounted sums of rewards over the `window` episodes of N environments that ended last, whatever the rewards
    are. An episode that is given up before its end, by a reset, does not count."""

    def __init__(self, n_envs: int, window: int = 100):
        self.running = np.zeros(n_envs)
        self.finished: deque[float] = deque(maxlen=window)

    def add(self, rewards: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """Take in rewards [T, N]; starts and ends [T, N] bool: the step is the first, or the last, of an episode."""
        for reward, start, end in zip(rewards, starts, ends, strict=True):
            self.running = np.where(start, 0.0, self.running) + reward
            self.finished.extend(self.running[end].tolist())

    def mean(self) -> float | None:
        """Mean over those episodes; None before the first has ended."""
        return float(np.mean(self.finished)) if self.finished else None

    def state_dict(self) -> dict[str, Any]:
        return {"running": self.running.copy(), "finished": list(self.finished)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.running = np.array(state["running"])
        self.finished = deque(state["finished"], self.finished.maxlen)
