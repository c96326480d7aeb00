"""The interface of evaluations for `rlgen evaluate`; the run's settings determine which one is used."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import tyro


@dataclass(frozen=True, kw_only=True)
class Evaluation(ABC):
    """An evaluation whose options are its fields; by default they have the values of the run."""

    subject_name: ClassVar[str]
    """Name of the evaluated subject in messages."""

    policy: tyro.conf.Positional[Path]
    """Run folder, or .zip saved by Stable-Baselines3 (RecurrentPPO, PPO, A2C, TRPO, SAC, TQC, TD3, DDPG, DQN,
    QRDQN)."""

    @abstractmethod
    def evaluate(self) -> dict[str, Any]:
        """Print the numbers, and return them in the form of the file."""
