"""`rlgen train rl`: reinforcement learning of a task's own reward."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from rlgen.display import Display
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.sb3.vec_env import ResumableVecEnv

from ..explorer import Explorer
from ..learner import LearnerConfig
from .learner_choice import LearnerChoice


@dataclass(frozen=True, kw_only=True)
class TrainRL(LearnerChoice):
    """Reinforcement learning of a task's own reward, for experts and for comparison: PPO (Schulman et al. 2017), A2C,
    TRPO, SAC, TD3, TQC or CrossQ.

    The learner's settings are those of its algorithm: --learner.algorithm sac --help-all lists SAC's. On a GPU, with
    --backend warp, thousands of environments and short rollouts are fast: --n-envs 4096 --learner.n-steps 24
    --learner.batch-size 16384.

    --hyperparams FILE takes the settings of the environment from a file of rl-baselines3-zoo, such as its ppo.yml or
    sac.yml (extra `zoo`); typed options override them.
    """

    agent: ClassVar[str] = "rl"
    taken_first: ClassVar[tuple[str, ...]] = ("--config", "--hyperparams")

    scale_reward: bool = True
    """Division of rewards by the running standard deviation of their discounted returns (on-policy learners only)."""

    def display(self) -> Display:
        return replace(super().display(), name=self.learner.algorithm.upper())

    @classmethod
    def idle_with(cls, learner: LearnerConfig) -> set[str]:
        return set() if learner.on_policy else {"scale_reward"}

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: None) -> Explorer:
        return Explorer(self.learner.make(env, int(self.steps), self.seed, device), scale=self.scale())

    def scale(self) -> ReturnNormalizer | None:
        """The scale that rewards are divided by; None for unscaled rewards."""
        return (
            ReturnNormalizer(self.learner.gamma, self.n_envs) if self.scale_reward and self.learner.on_policy else None
        )
