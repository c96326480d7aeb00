"""`rlgen train bc`: behavioral cloning."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.display import Metric
from rlgen.sb3.vec_env import ResumableVecEnv

from ..bc import BC, BCConfig
from .cloned_policy import ClonedPolicy
from .imitation_settings import TrainImitation
from .policy_training import CloningTraining, PolicyTraining


@dataclass(frozen=True, kw_only=True)
class TrainBC(ClonedPolicy, TrainImitation):
    """Behavioral cloning: regression of the demonstrated actions, from vectors, images or dictionaries of them."""

    agent: ClassVar[str] = "bc"
    training: ClassVar[type[PolicyTraining]] = CloningTraining
    panels = BC.panels
    results = (Metric("cloning", "cloning kept"),)
    counts_steps: ClassVar[bool] = False

    bc: BCConfig = field(default_factory=BCConfig)
    """Behavioral cloning."""

    def total(self, training: Any) -> int:
        return self.bc.most_updates

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> BC:
        return BC(self.model_in(env, self.seed, device), demonstrations, self.bc)
