"""`rlgen train gail` and `rlgen train infogail`: imitation against a discriminator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.errors import problem
from rlgen.sb3.vec_env import ResumableVecEnv

from ..gail import GAIL, OFF_POLICY, WITHOUT_ACTOR, GAILConfig
from ..infogail import InfoGAIL, InfoGAILConfig
from ..learner import make_model
from ..off_policy import COLD_SAC
from .choices import with_fields
from .imitation_settings import TrainImitation
from .learner_choice import LEARNERS, OFF_POLICY_ENVS, LearnerChoice

SAC = replace(COLD_SAC, layer_norm=True, hidden=(128, 128), updates_per_step=0.5)
"""SAC's settings by default, those of experiments/imitation/off_policy."""


@dataclass(frozen=True, kw_only=True)
class TrainGAIL(LearnerChoice, TrainImitation):
    """Generative adversarial imitation learning (Ho & Ermon 2016) with PPO, A2C or TRPO; with SAC, TD3, TQC, CrossQ
    or DQN off-policy (DAC, Kostrikov et al. 2019), in fewer environment steps but more time per step.

    The learner's settings are those of its algorithm: --learner.algorithm sac --help-all lists SAC's.
    """

    agent: ClassVar[str] = "gail"
    panels = GAIL.panels

    gail: GAILConfig = field(default_factory=GAILConfig)
    """Discriminator, its penalties and the warm start."""

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> type[Self]:
        """The class with the settings of the chosen algorithm, and the defaults that suit it."""
        kind = super().for_arguments(arguments, values)
        if kind.learner.on_policy:
            return kind
        own: list[Any] = [
            ("gail", GAILConfig, field(default=OFF_POLICY if kind.learner.has_actor else WITHOUT_ACTOR)),
            ("n_envs", int, field(default=OFF_POLICY_ENVS)),
        ]
        return with_fields(kind, own)

    @classmethod
    def default_learner(cls, algorithm: str, kind: type[Any]) -> Any:
        if algorithm == SAC.algorithm:
            return SAC
        found = super().default_learner(algorithm, kind)
        return found if found.on_policy else replace(found, **kind.imitation)

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> GAIL:
        return GAIL(self.learner.make(env, int(self.steps), self.seed, device), demonstrations, self.gail)


@dataclass(frozen=True, kw_only=True)
class TrainInfoGAIL(TrainGAIL):
    """Several experts in one policy, from demonstrations without labels of the expert (InfoGAIL, Li et al. 2017).

    In each episode the policy observes one of --codes codes, and each code becomes one behavior; which expert it
    imitates is left to chance. Everything else is as in `rlgen train gail`, but the warm start is off.

    The final evaluation draws a code for each episode (return_mean in result.json), and then plays as many episodes
    with each code (parts). Later, `rlgen evaluate RUN --code 1` plays one of them.
    """

    agent: ClassVar[str] = "infogail"
    learners: ClassVar[Mapping[str, type[Any]]] = {name: kind for name, kind in LEARNERS.items() if kind.on_policy}
    spelling = "InfoGAIL"
    panels = InfoGAIL.panels

    codes: int = 2
    """Number of codes, 2 or more: as many as there are experts, where their number is known."""
    gail: InfoGAILConfig = field(default_factory=InfoGAILConfig)
    """Discriminator, its penalties, the reward for recognizable codes, and the warm start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.codes < 2:
            raise problem("2 codes or more", str(self.codes), "use `rlgen train gail` for one behavior")

    @property
    def n_codes(self) -> int:
        return self.codes

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> InfoGAIL:
        return InfoGAIL(make_model(self.learner, env, self.seed, device), demonstrations, self.gail)
