"""Settings that all trainings from demonstrations share."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rlgen import distributed
from rlgen.checks import at_least, share
from rlgen.data.demonstrations import Demonstrations
from rlgen.data.observations import require_flat
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.display import Metric
from rlgen.errors import problem
from rlgen.runs.folder import RunFolder
from rlgen.sb3.latent_code import LatentCode
from rlgen.sb3.vec_env import ResumableVecEnv

from .environment import evaluation_backend, make_env
from .finish import EVALUATION_SEED, with_expert
from .policy_training import DEMONSTRATIONS
from .settings import Training

STRIDE_SEED = 0
"""Random seed of the offsets of --stride, that of `rlgen demos convert --every` by default: the rows imitated depend on
the demonstrations alone, not on the run's seed."""


@dataclass(frozen=True, kw_only=True)
class TrainImitation(Training):
    """Settings of every training from demonstrations."""

    results: ClassVar[tuple[Metric, ...]] = (Metric("reference_starts", "starts in demonstrated states", share=True),)

    demos: Path
    """Demonstrations: rlgen's .npz, minari:NAME, imitation, D4RL-style HDF5 (see `rlgen demos inspect`)."""
    trajectories: int | None = None
    """Number of demonstrated episodes to imitate, counted from the first; by default all."""
    stride: int = 1
    """Steps between the demonstrated steps that are imitated (the GAIL paper: 20), from an offset per episode that is
    random, but the same in every run; 1 keeps all."""
    expert: Path | None = None
    """Policy of the expert, a .zip saved by Stable-Baselines3, or babyai-bot. Its return in the run's evaluation is a
    normalized score of 1; by default the mean return of the demonstrated episodes is."""

    reference_starts: float = field(default=0.0, metadata=UNLESS_DEFAULT)
    """Share of the training's episodes that start in a random demonstrated state instead of the task's own, 0 to 1, for
    tasks whose observation begins with positions and velocities (Ant, HalfCheetah, Hopper, Walker2d, Humanoid).
    Evaluations start as the task does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        share(self, "reference_starts", remedy="use e.g. 0.5, or 0 for none")
        if self.reference_starts and not self.counts_steps:
            got = f"--reference-starts {self.reference_starts:g}"
            raise problem("an agent that acts in its environment", got, "leave it out for behavioral cloning")
        if self.trajectories is not None and self.trajectories < 1:
            raise problem("trajectories of at least 1", str(self.trajectories), "leave it out for the default")
        at_least(self, 1, "stride")

    def prepare(self, env: ResumableVecEnv, demonstrations: Demonstrations | None) -> None:
        """Starts a share of the episodes in demonstrated states."""
        if not self.reference_starts:
            return
        if demonstrations is None:
            raise problem("demonstrations to start from", "--reference-starts without --demos", "give --demos")
        start_from = getattr(env, "start_from", None)
        if start_from is None:
            got = f"{self.env} on the backend {env.backend}"
            raise problem("a task that rlgen steps itself for --reference-starts", got, "leave it out")
        demonstrations.validate(env.venv if isinstance(env, LatentCode) else env)
        start_from(
            require_flat(
                demonstrations.observations, "--reference-starts", demonstrations.source, "leave the option out"
            ),
            self.reference_starts,
        )

    def achieved(self) -> dict[str, Any]:
        own = {"reference_starts": self.reference_starts} if self.reference_starts else {}
        return {**super().achieved(), **own}

    def demonstrations(self, folder: RunFolder | None) -> Demonstrations:
        if folder is not None:
            return Demonstrations.load(folder / DEMONSTRATIONS)
        whole = Demonstrations.load(self.demos)
        chosen = whole if self.trajectories is None else whole.first(self.trajectories)
        chosen = chosen if self.stride == 1 else chosen.every(self.stride, STRIDE_SEED)
        return self._with_expert(chosen) if distributed.rank() == 0 else chosen

    def _with_expert(self, demonstrations: Demonstrations) -> Demonstrations:
        """The demonstrations with the return of the expert's policy in their metadata; its environment has no codes."""
        how: dict[str, Any] = {"threads": self.threads, "env_kwargs": self.env_kwargs}
        make = partial(make_env, self.env, seed=EVALUATION_SEED, backend=evaluation_backend(self.backend), **how)
        return with_expert(demonstrations, self.expert, make, self.episodes)
