"""`rlgen train lsiq`: imitation by critics that are regressed to what is the expert's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from stable_baselines3 import DQN, SAC

from rlgen.data.demonstrations import Demonstrations
from rlgen.sb3.vec_env import ResumableVecEnv

from ..lsiq import LSIQ, LSIQConfig
from ..off_policy import COLD_SAC, DQNConfig, SACConfig
from .imitation_settings import TrainImitation
from .learner_choice import OFF_POLICY_ENVS, LearnerChoice


@dataclass(frozen=True, kw_only=True)
class TrainLSIQ(LearnerChoice, TrainImitation):
    """Least-squares inverse soft Q-learning (Al-Hafez et al. 2023) with SAC, or DQN for discrete actions: critics are
    regressed to fixed rewards of demonstrated and own transitions, within the range that these allow. No discriminator.

    IQ-Learn (Garg et al. 2021) is --lsiq.expert-target bootstrap --lsiq.no-clip. Humanoid's policies need a higher
    --learner.temperature, e.g. 0.1.
    """

    agent: ClassVar[str] = "lsiq"
    spelling = "LS-IQ"
    learners: ClassVar[Mapping[str, type[Any]]] = {"sac": SACConfig, "dqn": DQNConfig}

    learner: SACConfig = COLD_SAC  # type: ignore[assignment]
    """Policy and reinforcement learner."""
    lsiq: LSIQConfig = field(default_factory=LSIQConfig)
    """Targets of the critics, and the warm start."""
    n_envs: int = OFF_POLICY_ENVS
    """Environments stepped at once."""

    @classmethod
    def default_learner(cls, algorithm: str, kind: type[Any]) -> Any:
        return COLD_SAC if algorithm == "sac" else kind(**kind.imitation)

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> LSIQ:
        model = self.learner.make(env, int(self.steps), self.seed, device)
        assert isinstance(model, SAC | DQN)
        return LSIQ(model, demonstrations, self.lsiq)
