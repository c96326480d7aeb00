"""`rlgen train csil`: imitation by the log-ratio of a cloned policy to its prior."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.sb3.vec_env import ResumableVecEnv

from ..csil import CSIL, CSILConfig
from ..off_policy import COLD_SAC, SACConfig
from .choices import with_fields
from .imitation_settings import TrainImitation
from .learner_choice import LEARNERS, OFF_POLICY_ENVS, LearnerChoice
from .settings import SteppedTraining

STARTS = 100
"""Environment steps of random actions without a warm start: they have far lower rewards than those of the clone."""
DEFAULT = replace(COLD_SAC, temperature=0.01, learning_starts=STARTS, layer_norm=True)


@dataclass(frozen=True, kw_only=True)
class TrainCSIL(LearnerChoice, TrainImitation):
    """Coherent soft imitation learning (Watson et al. 2023): reinforcement learning on the log-ratio of a cloned policy
    to its prior, with SAC or any other learner that has an actor. No discriminator.

    The learner's settings are those of its algorithm: --learner.algorithm ppo --help-all lists PPO's.
    """

    agent: ClassVar[str] = "csil"
    panels = CSIL.panels
    learners: ClassVar[Mapping[str, type[Any]]] = {name: kind for name, kind in LEARNERS.items() if kind.has_actor}

    learner: SACConfig = DEFAULT  # type: ignore[assignment]
    """Policy and reinforcement learner."""
    csil: CSILConfig = field(default_factory=CSILConfig)
    """Cloned policy that gives the rewards, share of demonstrated rows, and the warm start."""
    n_envs: int = OFF_POLICY_ENVS
    """Environments stepped at once."""

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> type[Self]:
        """The class with the settings of the chosen algorithm, and the number of environments that suits it."""
        kind = super().for_arguments(arguments, values)
        own: list[Any] = [("n_envs", int, field(default=SteppedTraining.n_envs))]
        return with_fields(kind, own) if kind.learner.on_policy else kind

    @classmethod
    def default_learner(cls, algorithm: str, kind: type[Any]) -> Any:
        if algorithm == "sac":
            return DEFAULT
        if kind.on_policy:
            return kind(algorithm=algorithm)
        return kind(**{**kind.imitation, "learning_starts": STARTS})

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> CSIL:
        return CSIL(self.learner.make(env, int(self.steps), self.seed, device), demonstrations, self.csil)
