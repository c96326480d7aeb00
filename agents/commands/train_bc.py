"""`rlgen train bc`: behavioral cloning."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.display import Metric
from rlgen.sb3.vec_env import ResumableVecEnv

from ..bc import BC, BCConfig
from ..image_encoder import EncoderConfig
from ..learner import LearnerConfig, make_model
from .imitation_settings import TrainImitation
from .policy_training import CloningTraining, PolicyTraining


@dataclass(frozen=True, kw_only=True)
class TrainBC(TrainImitation):
    """Behavioral cloning: regression of the demonstrated actions, from vectors, images or dictionaries of them."""

    agent: ClassVar[str] = "bc"
    training: ClassVar[type[PolicyTraining]] = CloningTraining
    panels = BC.panels
    results = (Metric("cloning", "cloning kept"),)
    counts_steps: ClassVar[bool] = False

    hidden: tuple[int, ...] = (256, 256)
    """Widths of the policy's hidden layers."""
    initial_std: float = LearnerConfig.initial_std
    """Standard deviation of the policy's actions, as a share of half the action range. Cloning by squared error does
    not change it; it matters if actions are sampled."""
    bc: BCConfig = field(default_factory=BCConfig)
    """Behavioral cloning."""
    encoder: EncoderConfig = field(default=EncoderConfig(), metadata=UNLESS_DEFAULT)
    """Trained model that the policy's features of images or instructions start from."""

    def total(self, training: Any) -> int:
        return self.bc.most_updates

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> BC:
        # Longer rollouts suit one environment; they matter only if the policy is trained further in SB3.
        steps = LearnerConfig.batch_size
        learner = LearnerConfig(
            hidden=self.hidden, initial_std=self.initial_std, n_steps=steps, schedule="constant", encoder=self.encoder
        )
        return BC(make_model(learner, env, self.seed, device), demonstrations, self.bc)
