"""Settings that all trainings from demonstrations share."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rlgen import distributed
from rlgen.checks import at_least
from rlgen.data.demonstrations import Demonstrations
from rlgen.errors import problem
from rlgen.runs.folder import RunFolder

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

    demos: Path
    """Demonstrations: rlgen's .npz, minari:NAME, imitation, D4RL-style HDF5 (see `rlgen demos inspect`)."""
    trajectories: int | None = None
    """Number of demonstrated episodes to imitate, counted from the first; by default all."""
    stride: int = 1
    """Steps between the demonstrated steps that are imitated (the GAIL paper: 20), from an offset per episode that is
    random, but the same in every run; 1 keeps all."""
    expert: Path | None = None
    """Policy of the expert, a .zip saved by Stable-Baselines3. Its return in the run's evaluation is a normalized score
    of 1; by default the mean return of the demonstrated episodes is."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trajectories is not None and self.trajectories < 1:
            raise problem("trajectories of at least 1", str(self.trajectories), "leave it out for the default")
        at_least(self, 1, "stride")

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
