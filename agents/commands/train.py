"""`rlgen train bc|gail`: from demonstrations to an evaluated, drawn, resumable policy."""

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from rlgen.envs.backend import Backend
from rlgen.errors import problem
from rlgen.runs.config import from_json
from rlgen.runs.folder import RunFolder

from ..bc import BCConfig
from ..gail import GAILConfig
from ..learner import LearnerConfig

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class TrainImitation:
    """What every training from demonstrations needs."""

    agent: ClassVar[str]

    env: str
    """Gymnasium id of the environment, e.g. Ant-v5."""
    demos: Path
    """Demonstrations: rlgen's .npz, Minari, imitation, D4RL-style HDF5 (see `rlgen demos inspect`)."""
    out: Path
    """Folder of the run; new or empty."""
    trajectories: int | None = None
    """Use the first N episodes of the demonstrations; all when left out."""
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
        for name in ("episodes", "threads", "trajectories"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise problem(f"{name} of at least 1", str(value), "leave it out for the default")
        if self.seed < 0:
            raise problem("a seed of 0 or more", str(self.seed), "give a whole number that is not negative")

    def run(self) -> int:
        from .training import start

        return start(self)


@dataclass(frozen=True, kw_only=True)
class TrainBC(TrainImitation):
    """Behavioural cloning: regression of the demonstrated actions."""

    agent: ClassVar[str] = "bc"

    hidden: tuple[int, ...] = (256, 256)
    """Widths of the policy's hidden layers."""
    initial_std: float = LearnerConfig.initial_std
    """Standard deviation of the policy's actions, as a share of half the action range (for sampling: the squared error
    does not touch it)."""
    bc: BCConfig = field(default_factory=BCConfig)
    """The cloning."""


@dataclass(frozen=True, kw_only=True)
class TrainGAIL(TrainImitation):
    """Generative adversarial imitation learning (Ho & Ermon 2016) with PPO, A2C or TRPO."""

    agent: ClassVar[str] = "gail"

    steps: float = 1e6
    """Environment steps in all (rounded up to whole rollouts)."""
    checkpoint_every: float = 1e5
    """Environment steps between checkpoints; 0 for one after every rollout."""
    evaluate_every: float = 2e5
    """Environment steps between evaluations of 10 episodes for the learning curve; 0 for none."""
    n_envs: int = 32
    """Environments stepped at once."""
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    """The policy and the reinforcement learner."""
    gail: GAILConfig = field(default_factory=GAILConfig)
    """The discriminator, its penalties and the warm start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, lowest in (("steps", 1), ("n_envs", 1), ("checkpoint_every", 0), ("evaluate_every", 0)):
            value = getattr(self, name)
            if not lowest <= value < math.inf:
                raise problem(f"{name} of at least {lowest} and finite", f"{value:g}", "leave it out for the default")


TRAININGS: dict[str, type[TrainImitation]] = {"bc": TrainBC, "gail": TrainGAIL}


def resume(run: Path) -> int:
    """Continue the run in folder `run` from its newest checkpoint. Returns the exit code."""
    from .training import go_on

    folder = RunFolder.open(run)
    values = dict(folder.config)
    agent = values.pop("agent", None)
    if agent not in TRAININGS:
        raise problem(
            f"a run of {' or '.join(TRAININGS)}", f"agent {agent!r} in {run}", "resume it with the rlgen that wrote it"
        )
    if is_finished(folder):
        log.info("%s is finished already; see its result.json", folder.path)
        return 0
    return go_on(folder, from_json(TRAININGS[agent], values))


def is_finished(folder: RunFolder) -> bool:
    """Whether the run was evaluated and reported to its end. A report alone is no sign of
    that: `rlgen report` also writes it for unfinished runs."""
    result, report = folder / "result.json", folder / "report.html"
    return result.is_file() and report.is_file() and report.stat().st_mtime_ns >= result.stat().st_mtime_ns
