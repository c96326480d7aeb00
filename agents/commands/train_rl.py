"""`rlgen train ppo`: a task's own reward and nothing else."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch

from rlgen.rewards.bonus_unit import ReturnScale
from rlgen.sb3.vec_env import ResumableVecEnv

from ..explorer import Explorer
from ..learner import LearnerConfig, OnPolicyConfig, make_model
from .settings import SteppedTraining


@dataclass(frozen=True, kw_only=True)
class TrainRL(SteppedTraining):
    """Proximal policy optimisation (Schulman et al. 2017) of a task's own reward, for experts and for comparison.

    On a GPU, with --backend warp, thousands of environments and short rollouts are quick: --n-envs 4096
    --learner.n-steps 24 --learner.batch-size 16384.
    """

    agent: ClassVar[str] = "ppo"

    scale_reward: bool = True
    """Divide the reward by the running spread of its discounted returns."""
    learner: OnPolicyConfig = field(default_factory=OnPolicyConfig)
    """The policy and its learner."""

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: None) -> Explorer:
        model = make_model(LearnerConfig(**vars(self.learner)), env, self.seed, device)
        return Explorer(model, scale=ReturnScale(self.learner.gamma, self.n_envs) if self.scale_reward else None)
