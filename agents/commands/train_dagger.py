"""`rlgen train dagger`: imitation of an expert that labels the learner's own states."""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.errors import problem
from rlgen.runs.folder import RunFolder
from rlgen.sb3.babyai_bot import is_bot, load_expert
from rlgen.sb3.load import copy_policy
from rlgen.sb3.vec_env import ResumableVecEnv

from ..dagger import DAgger, DAggerConfig
from .cloned_policy import ClonedPolicy
from .finish import Task
from .imitation_settings import TrainImitation
from .policy_training import DEMONSTRATIONS, PolicyTraining
from .settings import SteppedTraining

EXPERT = "expert"
"""Folder within the run's with the expert's policy."""


class DAggerTraining(PolicyTraining):
    """A training whose run folder also has the expert's policy, which a resumed run asks."""

    def keep(self, folder: RunFolder) -> None:
        super().keep(folder)
        assert self.task.expert is not None
        if not is_bot(self.task.expert):
            copy_policy(self.task.expert, folder / EXPERT)


@dataclass(frozen=True, kw_only=True)
class TrainDAgger(ClonedPolicy, SteppedTraining, TrainImitation):
    """Dataset aggregation (Ross et al. 2011): the expert, a policy saved by Stable-Baselines3, labels the states that
    the learner visits, and behavioral cloning of all rows follows every round. The best choice where the expert can be
    asked at any time: without cloning's errors in states that no demonstration has.
    """

    agent: ClassVar[str] = "dagger"
    training: ClassVar[type[PolicyTraining]] = DAggerTraining
    spelling = "DAgger"
    panels = DAgger.panels

    expert: Path = field()  # type: ignore[assignment]
    """Policy of the expert, a .zip saved by Stable-Baselines3, a published folder or a run folder, or babyai-bot for
    BabyAI's bot. Its return in the run's evaluation is a normalized score of 1. The run folder keeps a copy."""
    demos: Path | None = None  # type: ignore[assignment]
    """Demonstrations to clone before the first step; by default none, and the expert acts alone in the first round."""
    steps: float = 1e5
    """Environment steps of the whole training, all labeled by the expert, rounded up to whole rounds."""
    n_envs: int = 8
    """Environments stepped at once."""
    dagger: DAggerConfig = field(default_factory=DAggerConfig)
    """Rounds, memory and cloning."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.demos is None and (self.trajectories is not None or self.stride != 1):
            given = "--trajectories" if self.trajectories is not None else "--stride"
            raise problem("demonstrations to choose from", f"{given} without --demos", "give --demos, or leave it out")
        if self.encoder.pretrain:  # every cloning starts from the first weights
            remedy = "train it before by `rlgen train image --model vae`, and give --encoder.run"
            raise problem("a trained encoder for DAgger", f"--encoder.pretrain {self.encoder.pretrain}", remedy)

    def build(self, stack: ExitStack, folder: RunFolder | None) -> PolicyTraining:
        settings = self if folder is None or is_bot(self.expert) else replace(self, expert=folder / EXPERT)
        return super(TrainDAgger, settings).build(stack, folder)

    def demonstrations(self, folder: RunFolder | None) -> Demonstrations | None:  # type: ignore[override]
        if self.demos is None or (folder is not None and not (folder / DEMONSTRATIONS).is_file()):
            return None
        return super().demonstrations(folder)

    def _with_expert(self, demonstrations: Demonstrations) -> Demonstrations:
        return demonstrations  # the final evaluation plays the expert

    def _task(self) -> Task:
        return replace(super()._task(), expert=self.expert)

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations | None) -> DAgger:
        return DAgger(self.model_in(env, self.seed, device), load_expert(self.expert, env), demonstrations, self.dagger)
