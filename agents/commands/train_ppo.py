"""`rlgen train ppo`: a task's own reward and nothing else."""

from dataclasses import dataclass, field
from typing import ClassVar

from ..learner import OnPolicyConfig
from .train_settings import SteppedTraining


@dataclass(frozen=True, kw_only=True)
class TrainPPO(SteppedTraining):
    """Proximal policy optimisation (Schulman et al. 2017) of a task's own reward, for experts and for comparison.

    On a GPU, with --backend warp, thousands of environments and short rollouts are quick: --n-envs 4096
    --learner.n-steps 24 --learner.batch-size 16384.
    """

    agent: ClassVar[str] = "ppo"

    scale_reward: bool = True
    """Divide the reward by the running spread of its discounted returns."""
    learner: OnPolicyConfig = field(default_factory=OnPolicyConfig)
    """The policy and its learner."""
