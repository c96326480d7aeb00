"""PWIL's rewards as those of a VecEnv, and their log."""

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from rlgen.data.transitions import Transitions
from rlgen.rewards.episode_coupling import EpisodeCoupling
from rlgen.sb3.replaced_rewards import ReplacedRewards


class CouplingRewards(ReplacedRewards):
    """The rewards of an `EpisodeCoupling`, in the order of the steps. What the current episodes have used up is part of
    the state."""

    what = "the rewards of PWIL"

    def __init__(self, venv: VecEnv, coupling: EpisodeCoupling):
        super().__init__(venv)
        self.coupling = coupling

    def begin(self) -> None:
        self.coupling.begin(torch.ones(self.num_envs, dtype=torch.bool))

    def rewards(self, batch: Transitions[Any]) -> np.ndarray:
        return self.coupling.step(batch).numpy()

    def own_state(self) -> dict[str, Any]:
        return {"coupling": self.coupling.state_dict()}

    def load_own_state(self, state: dict[str, Any]) -> None:
        self.coupling.load_state_dict(state["coupling"])


class LogStepRewards(BaseCallback):
    """Logs the mean of the environment's rewards per step under `name`."""

    def __init__(self, name: str):
        super().__init__()
        self.name = name

    def _on_step(self) -> bool:
        self.logger.record_mean(self.name, float(np.mean(self.locals["rewards"])))
        return True
