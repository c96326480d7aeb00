"""`rlgen train sqil`: imitation by a reward of 1 for what was demonstrated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.sb3.vec_env import ResumableVecEnv

from ..off_policy import OFF_POLICY_LEARNERS, SACConfig
from ..sqil import SQIL, SQILConfig
from .imitation_settings import TrainImitation
from .learner_choice import OFF_POLICY_ENVS, LearnerChoice

DEFAULT = SACConfig(**SACConfig.imitation)


@dataclass(frozen=True, kw_only=True)
class TrainSQIL(LearnerChoice, TrainImitation):
    """Soft Q imitation learning (Reddy et al. 2020) with SAC, TD3, TQC, CrossQ or DQN: a reward of 1 for demonstrated
    transitions, which are half of every minibatch, and 0 for the policy's own. No discriminator; with few
    demonstrations the return may fall again after a peak.
    """

    agent: ClassVar[str] = "sqil"
    learners: ClassVar[Mapping[str, type[Any]]] = OFF_POLICY_LEARNERS

    learner: SACConfig = DEFAULT  # type: ignore[assignment]
    """Policy and reinforcement learner."""
    sqil: SQILConfig = field(default_factory=SQILConfig)
    """Share of demonstrated rows, and the warm start."""
    n_envs: int = OFF_POLICY_ENVS
    """Environments stepped at once."""

    @classmethod
    def default_learner(cls, algorithm: str, kind: type[Any]) -> Any:
        return kind(**kind.imitation)

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> SQIL:
        return SQIL(self.learner.make(env, int(self.steps), self.seed, device), demonstrations, self.sqil)
