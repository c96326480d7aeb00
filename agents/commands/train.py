"""`rlgen train bc|gail|infogail`: from demonstrations to an evaluated, resumable policy; and any `resume`."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from rlgen.errors import problem
from rlgen.runs.folder import RunFolder

from ..bc import BCConfig
from ..gail import GAILConfig
from ..infogail import InfoGAILConfig
from ..learner import LearnerConfig
from .train_image import TrainImage
from .train_ppo import TrainPPO
from .train_settings import RunSettings, SteppedTraining, Training
from .train_vime import TrainVIME

log = logging.getLogger("rlgen")


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


@dataclass(frozen=True, kw_only=True)
class TrainBC(TrainImitation):
    """Behavioural cloning: regression of the demonstrated actions."""

    agent: ClassVar[str] = "bc"

    hidden: tuple[int, ...] = (256, 256)
    """Widths of the policy's hidden layers."""
    initial_std: float = LearnerConfig.initial_std
    """Standard deviation of the policy's actions, as a share of half the action range (for sampling: the squared error
    does not touch it)."""
    bc: BCConfig = field(default_factory=BCConfig)
    """The cloning."""


@dataclass(frozen=True, kw_only=True)
class TrainGAIL(SteppedTraining, TrainImitation):
    """Generative adversarial imitation learning (Ho & Ermon 2016) with PPO, A2C or TRPO."""

    agent: ClassVar[str] = "gail"

    learner: LearnerConfig = field(default_factory=LearnerConfig)
    """The policy and the reinforcement learner."""
    gail: GAILConfig = field(default_factory=GAILConfig)
    """The discriminator, its penalties and the warm start."""


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


TRAININGS: dict[str, type[RunSettings]] = {
    kind.agent: kind for kind in (TrainBC, TrainGAIL, TrainInfoGAIL, TrainPPO, TrainVIME, TrainImage)
}


def resume(run: Path, steps: float | None = None) -> int:
    """Continue the run in folder `run` from its newest checkpoint, to `steps` in all. Returns the exit code."""
    from .train_on import is_behind, with_steps

    folder = RunFolder.open(run)
    values = dict(folder.config)
    agent = values.pop("agent", None)
    if not isinstance(agent, str) or agent not in TRAININGS:
        raise problem(
            f"a run of {' or '.join(TRAININGS)}", f"agent {agent!r} in {run}", "resume it with the rlgen that wrote it"
        )
    config = TRAININGS[agent].restored(values)
    if steps is not None:
        return with_steps(folder, config, steps).go_on(folder)
    if folder.finished and not is_behind(folder, config):
        more = " (--steps trains it on)" if getattr(config, "steps", None) else ""
        log.info("%s is finished already; see its result.json%s", folder.path, more)
        return 0
    return config.go_on(folder)
