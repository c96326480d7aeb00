"""What every training asks for on the command line."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rlgen.envs.backend import Backend
from rlgen.errors import problem
from rlgen.runs.config import to_json


@dataclass(frozen=True, kw_only=True)
class Training:
    """What every training needs."""

    agent: ClassVar[str]

    env: str
    """Gymnasium id of the environment, e.g. Ant-v5."""
    out: Path
    """Folder of the run; new or empty."""
    seed: int = 0
    """Of everything random."""
    backend: Backend = "auto"
    """threads: C MuJoCo on a thread pool; numpy: tasks with their own equations; gymnasium: any registered id; auto:
    the first of these that has the task."""
    threads: int | None = None
    """Threads for stepping and updates; all usable cores when left out. With 1, a killed run goes on bit for bit."""
    device: str = "auto"
    """Of the networks: auto, cpu, cuda, cuda:1 …"""
    episodes: int = 50
    """Episodes of the final evaluation."""
    video: bool = True
    """Record a video of the final policy where a renderer is found."""

    def __post_init__(self) -> None:
        for name in ("episodes", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise problem(f"{name} of at least 1", str(value), "leave it out for the default")
        if self.seed < 0:
            raise problem("a seed of 0 or more", str(self.seed), "give a whole number that is not negative")

    def run(self) -> int:
        from .training import start

        return start(self)

    def recorded(self) -> dict[str, Any]:
        """What config.json holds, from which a resumed run makes the same settings."""
        return {"agent": self.agent, **to_json(self)}


@dataclass(frozen=True, kw_only=True)
class SteppedTraining(Training):
    """What a training by steps in an environment needs in addition."""

    steps: float = 1e6
    """Environment steps in all (rounded up to whole rollouts)."""
    checkpoint_every: float = 1e5
    """Environment steps between checkpoints; 0 for one after every rollout."""
    evaluate_every: float = 2e5
    """Environment steps between evaluations of 10 episodes for the learning curve; 0 for none."""
    n_envs: int = 32
    """Environments stepped at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, lowest in (("steps", 1), ("n_envs", 1), ("checkpoint_every", 0), ("evaluate_every", 0)):
            value = getattr(self, name)
            if not lowest <= value < math.inf:
                raise problem(f"{name} of at least {lowest} and finite", f"{value:g}", "leave it out for the default")
