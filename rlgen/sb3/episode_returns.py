"""What an agent was paid per episode, over the last episodes."""

from collections import deque
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlgen.rewards.bonus_unit import discounted_sums
from rlgen.sb3.plain_state import own_array, plain


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
