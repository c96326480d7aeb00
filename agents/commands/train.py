"""`rlgen train bc|gail|infogail`: from demonstrations to an evaluated, resumable policy."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from rlgen import distributed
from rlgen.data.demonstrations import Demonstrations
from rlgen.errors import problem
from rlgen.runs.folder import RunFolder

from ..bc import BC, BCConfig
from ..gail import GAIL, GAILConfig
from ..infogail import InfoGAIL, InfoGAILConfig
from ..learner import LearnerConfig, make_model
from .environment import judging, make_env
from .policy_training import DEMONSTRATIONS, CloningTraining, PolicyTraining
from .references import EVALUATION_SEED, with_expert
from .train_settings import SteppedTraining, Training


@dataclass(frozen=True, kw_only=True)
class TrainImitation(Training):
    """What every training from demonstrations needs."""

    demos: Path
    """Demonstrations: rlgen's .npz, Minari, imitation, D4RL-style HDF5 (see `rlgen demos inspect`)."""
    trajectories: int | None = None
    """Use the first N episodes of the demonstrations; all when left out."""
    expert: Path | None = None
    """Policy of the expert, a .zip saved by Stable-Baselines3: what it earns in the run's evaluation is then 1 of the
    normalised score; the mean return of the demonstrated episodes when left out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trajectories is not None and self.trajectories < 1:
            raise problem("trajectories of at least 1", str(self.trajectories), "leave it out for the default")

    def demonstrations(self, folder: RunFolder | None) -> Demonstrations:
        if folder is not None:
            return Demonstrations.load(folder / DEMONSTRATIONS)
        whole = Demonstrations.load(self.demos)
        chosen = whole if self.trajectories is None else whole.first(self.trajectories)
        return self._with_expert(chosen) if distributed.rank() == 0 else chosen

    def _with_expert(self, demonstrations: Demonstrations) -> Demonstrations:
        """What the expert's policy earns is noted; without codes, which it does not know."""
        how: dict[str, Any] = {"threads": self.threads, "env_kwargs": self.env_kwargs}
        make = partial(make_env, self.env, seed=EVALUATION_SEED, backend=judging(self.backend), **how)
        return with_expert(demonstrations, self.expert, make, self.episodes)


@dataclass(frozen=True, kw_only=True)
class TrainBC(TrainImitation):
    """Behavioural cloning: regression of the demonstrated actions."""

    agent: ClassVar[str] = "bc"
    training: ClassVar[type[PolicyTraining]] = CloningTraining

    hidden: tuple[int, ...] = (256, 256)
    """Widths of the policy's hidden layers."""
    initial_std: float = LearnerConfig.initial_std
    """Standard deviation of the policy's actions, as a share of half the action range (for sampling: the squared error
    does not touch it)."""
    bc: BCConfig = field(default_factory=BCConfig)
    """The cloning."""

    def total(self, training: Any) -> int:
        return self.bc.most_updates

    def agent_in(self, env: Any, device: torch.device, demonstrations: Demonstrations) -> BC:
        # One environment needs longer rollouts; they matter to those alone who open the policy in SB3 and learn on.
        steps = LearnerConfig.batch_size
        learner = LearnerConfig(hidden=self.hidden, initial_std=self.initial_std, n_steps=steps, schedule="constant")
        return BC(make_model(learner, env, self.seed, device), demonstrations, self.bc)


@dataclass(frozen=True, kw_only=True)
class TrainGAIL(SteppedTraining, TrainImitation):
    """Generative adversarial imitation learning (Ho & Ermon 2016) with PPO, A2C or TRPO."""

    agent: ClassVar[str] = "gail"

    learner: LearnerConfig = field(default_factory=LearnerConfig)
    """The policy and the reinforcement learner."""
    gail: GAILConfig = field(default_factory=GAILConfig)
    """The discriminator, its penalties and the warm start."""

    def agent_in(self, env: Any, device: torch.device, demonstrations: Demonstrations) -> GAIL:
        return GAIL(make_model(self.learner, env, self.seed, device), demonstrations, self.gail)


@dataclass(frozen=True, kw_only=True)
class TrainInfoGAIL(TrainGAIL):
    """Several experts in one policy, from demonstrations with nothing to tell them by (InfoGAIL, Li et al. 2017).

    Each episode shows the policy one of --codes codes, and each code becomes one way of acting; which becomes which
    expert is left to chance. Everything else is as in `rlgen train gail`, apart from the warm start, which is off.

    The finished policy is played with a code drawn for each episode (return_mean in result.json), and then as many
    episodes under each code (return_mean_of_code). Afterwards `rlgen evaluate RUN --code 1` plays one of them.
    """

    agent: ClassVar[str] = "infogail"

    codes: int = 2
    """Ways of acting that the policy is to have: as many as experts, where their number is known."""
    gail: InfoGAILConfig = field(default_factory=InfoGAILConfig)
    """The discriminator, its penalties, what is paid for a code that shows, and the warm start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.codes < 2:
            raise problem("2 codes or more", str(self.codes), "use `rlgen train gail` for one way of acting")

    @property
    def n_codes(self) -> int:
        return self.codes

    def agent_in(self, env: Any, device: torch.device, demonstrations: Demonstrations) -> InfoGAIL:
        return InfoGAIL(make_model(self.learner, env, self.seed, device), demonstrations, self.gail)
