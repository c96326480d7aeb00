"""`rlgen train pwil`: imitation by the distance between episodes and demonstrations."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.sb3.vec_env import ResumableVecEnv

from ..off_policy import SACConfig
from ..pwil import PWIL, PWILConfig
from .imitation_settings import TrainImitation
from .learner_choice import LEARNERS, OFF_POLICY_ENVS, LearnerChoice

DEFAULT = SACConfig(**SACConfig.imitation)


@dataclass(frozen=True, kw_only=True)
class TrainPWIL(LearnerChoice, TrainImitation):
    """Primal Wasserstein imitation learning (Dadashi et al. 2021) with any learner: a reward
    that falls with the distance between the policy's episodes and the demonstrations. No discriminator; slower than
    GAIL, but stable. Give it every k-th step (--stride 20): each step is compared with all demonstrated rows.
    """

    agent: ClassVar[str] = "pwil"
    learners: ClassVar[Mapping[str, type[Any]]] = LEARNERS
    panels = PWIL.panels

    learner: SACConfig = DEFAULT  # type: ignore[assignment]
    """Policy and reinforcement learner."""
    pwil: PWILConfig = field(default_factory=PWILConfig)
    """Reward, replay buffer and warm start."""
    n_envs: int = OFF_POLICY_ENVS
    """Environments stepped at once."""

    @classmethod
    def default_learner(cls, algorithm: str, kind: type[Any]) -> Any:
        found = super().default_learner(algorithm, kind)
        return found if found.on_policy else replace(found, **kind.imitation)

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> PWIL:
        return PWIL(self.learner.make(env, int(self.steps), self.seed, device), demonstrations, self.pwil)
