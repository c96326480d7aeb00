"""`rlgen train sqil`: imitation by a reward of 1 for what was demonstrated."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.sb3.vec_env import ResumableVecEnv

from ..off_policy import OFF_POLICY_LEARNERS, SACConfig
from ..sqil import SQIL, SQILConfig
from .imitation_settings import TrainImitation
from .learner_choice import OFF_POLICY_ENVS, LearnerChoice


def learner_of(kind: type[Any]) -> Any:
    """The settings of a learner for SQIL: with layer normalization in the critics where it has the choice. Without it,
    values of few demonstrated rows grow without limit (experiments/imitation)."""
    bounded = {"layer_norm": True} if any(each.name == "layer_norm" for each in fields(kind)) else {}
    return kind(**kind.imitation, **bounded)


DEFAULT: SACConfig = learner_of(SACConfig)


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
        return learner_of(kind)

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> SQIL:
        return SQIL(self.learner.make(env, int(self.steps), self.seed, device), demonstrations, self.sqil)
