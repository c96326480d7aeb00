"""`rlgen train airl`: imitation that learns a reward for later trainings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.sb3.vec_env import ResumableVecEnv

from ..airl import AIRL, AIRLConfig
from ..learner import make_model
from .imitation_settings import TrainImitation
from .learner_choice import LEARNERS, LearnerChoice


@dataclass(frozen=True, kw_only=True)
class TrainAIRL(LearnerChoice, TrainImitation):
    """Adversarial inverse reinforcement learning (Fu et al. 2018) with PPO, A2C or TRPO: imitates, and learns a reward
    that `rlgen train rl --reward RUN` trains on later, also on a task of other dynamics. Where only the policy matters,
    use `rlgen train gail`.
    """

    agent: ClassVar[str] = "airl"
    learners: ClassVar[Mapping[str, type[Any]]] = {name: kind for name, kind in LEARNERS.items() if kind.on_policy}
    panels = AIRL.panels

    airl: AIRLConfig = field(default_factory=AIRLConfig)
    """Discriminator with the learned reward, and the warm start."""

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> AIRL:
        return AIRL(make_model(self.learner, env, self.seed, device), demonstrations, self.airl)
