"""What `rlgen evaluate` asks of every kind of run; the run's settings say which kind it is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import tyro


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One kind: its options are its fields, of which those left out are as in the run."""

    subject_name: ClassVar[str]
    """What is evaluated."""

    policy: tyro.conf.Positional[Path]
    """Run folder, or .zip saved by Stable-Baselines3 (RecurrentPPO, PPO, A2C, TRPO, SAC, TQC, TD3, DDPG, DQN,
    QRDQN)."""

    def evaluate(self) -> dict[str, Any]:
        """Show the numbers, and return them as they are written to a file."""
        raise NotImplementedError
