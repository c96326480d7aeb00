"""`rlgen train gail` and `rlgen train infogail`: imitation against a discriminator."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch

from rlgen.data.demonstrations import Demonstrations
from rlgen.errors import problem
from rlgen.sb3.vec_env import ResumableVecEnv

from ..gail import GAIL, GAILConfig
from ..infogail import InfoGAIL, InfoGAILConfig
from ..learner import LearnerConfig, make_model
from .imitation_settings import TrainImitation
from .settings import SteppedTraining


@dataclass(frozen=True, kw_only=True)
class TrainGAIL(SteppedTraining, TrainImitation):
    """Generative adversarial imitation learning (Ho & Ermon 2016) with PPO, A2C or TRPO."""

    agent: ClassVar[str] = "gail"
    panels = GAIL.panels

    learner: LearnerConfig = field(default_factory=LearnerConfig)
    """Policy and reinforcement learner."""
    gail: GAILConfig = field(default_factory=GAILConfig)
    """Discriminator, its penalties and the warm start."""

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Demonstrations) -> GAIL:
        return GAIL(make_model(self.learner, env, self.seed, device), demonstrations, self.gail)


@dataclass(frozen=True, kw_only=True)
class TrainInfoGAIL(TrainGAIL):
    """Several experts in one policy, from demonstrations without labels of the expert (InfoGAIL, Li et al. 2017).

    In each episode the policy observes one of --codes codes, and each code becomes one behavior; which expert it
    imitates is left to chance. Everything else is as in `rlgen train gail`, but the warm start is off.

    The final evaluation draws a code for each episode (return_mean in result.json), and then plays as many episodes
    with each code (parts). Later, `rlgen evaluate RUN --code 1` plays one of them.
    """

    agent: ClassVar[str] = "infogail"
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
