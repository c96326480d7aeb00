"""`rlgen train rl`: reinforcement learning of a task's own reward."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch

from rlgen.display import Display
from rlgen.errors import problem
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.runs.config import from_json
from rlgen.sb3.vec_env import ResumableVecEnv

from ..explorer import Explorer
from ..learner import LearnerConfig
from ..soft_actor_critic import SACConfig
from .choices import needs, typed, with_learner
from .parsing import options_of
from .settings import SteppedTraining

LEARNERS: dict[str, type[Any]] = {"ppo": LearnerConfig, "a2c": LearnerConfig, "trpo": LearnerConfig, "sac": SACConfig}
CHOICE = "--learner.algorithm"
DEFAULT = LearnerConfig()


@dataclass(frozen=True, kw_only=True)
class TrainRL(SteppedTraining):
    """Reinforcement learning of a task's own reward, for experts and for comparison: PPO (Schulman et al. 2017), A2C,
    TRPO or SAC.

    The learner's settings are those of its algorithm: --learner.algorithm sac --help-all lists SAC's. On a GPU, with
    --backend warp, thousands of environments and short rollouts are fast: --n-envs 4096 --learner.n-steps 24
    --learner.batch-size 16384.

    --hyperparams FILE takes the settings of the environment from a file of rl-baselines3-zoo, such as its ppo.yml or
    sac.yml (extra `zoo`); typed options override them.
    """

    agent: ClassVar[str] = "rl"
    taken_first: ClassVar[tuple[str, ...]] = ("--config", "--hyperparams")

    scale_reward: bool = True
    """Division of rewards by the running standard deviation of their discounted returns (not with sac)."""
    learner: LearnerConfig = DEFAULT
    """Policy and reinforcement learner."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_defaults_of_idle()

    def display(self) -> Display:
        return replace(super().display(), name=self.learner.algorithm.upper())

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> type[Self]:
        """The class with the settings of the chosen algorithm."""
        asked = typed(arguments, CHOICE) or recorded_algorithm(values)
        algorithm = asked if asked in LEARNERS else cls.learner.algorithm
        kind = LEARNERS[algorithm]
        own: Any = cls.learner
        default = replace(own, algorithm=algorithm) if LEARNERS[own.algorithm] is kind else kind()
        return with_learner(cls, default, tuple(LEARNERS))

    @classmethod
    def elsewhere(cls) -> dict[str, str]:
        """Options that other choices read, by option, each with those choices."""
        own = LEARNERS[cls.learner.algorithm]
        found: dict[str, str] = {}
        for kind in {kind: None for kind in LEARNERS.values() if kind is not own}:
            names = [name for name, other in LEARNERS.items() if other is kind]
            found |= needs(CHOICE, names, options_of(kind, "learner."))
        return found

    @classmethod
    def without_idle(cls, values: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
        """`values` without the settings of a learner that the typed one replaces."""
        before, asked, learner = recorded_algorithm(values), typed(arguments, CHOICE), values.get("learner", {})
        if asked not in LEARNERS or not isinstance(learner, dict):
            return dict(values)
        kept = learner if before is None or LEARNERS.get(before) is LEARNERS[asked] else {}
        read = {name: value for name, value in values.items() if name not in cls.idle_with(cls.learner)}
        return read | {"learner": {**kept, "algorithm": asked}}

    @classmethod
    def restored(cls, values: dict[str, Any]) -> Self:
        return from_json(cls.for_arguments((), values), values)

    @classmethod
    def idle_with(cls, learner: LearnerConfig) -> set[str]:
        """Names of the settings that a training with this learner does not read."""
        return set() if learner.on_policy else {"scale_reward"}

    @property
    def idle(self) -> set[str]:
        """Names of the settings that this training does not read."""
        return self.idle_with(self.learner)

    @property
    def chosen(self) -> str:
        """The choices that decide which settings are read."""
        return f"{CHOICE} {self.learner.algorithm}"

    def _require_defaults_of_idle(self) -> None:
        """Raise `InputError` for given settings that are not read, because the user expects an effect of them."""
        given = [name for name in sorted(self.idle) if getattr(self, name) != getattr(type(self), name)]
        if given:
            got = " and ".join(f"--{name.replace('_', '-')}" for name in given)
            raise problem(f"settings that {self.chosen} reads", got, "leave it out, or choose otherwise")

    def recorded(self) -> dict[str, Any]:
        """The contents of config.json, without the settings that this training does not read."""
        return {name: value for name, value in super().recorded().items() if name not in self.idle}

    def with_steps(self, steps: float) -> Self:
        return replace(super().with_steps(steps), learner=self.learner.keep_buffer(int(self.steps), self.n_envs))

    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: None) -> Explorer:
        return Explorer(self.learner.make(env, int(self.steps), self.seed, device), scale=self.scale())

    def scale(self) -> ReturnNormalizer | None:
        """The scale that rewards are divided by; None for unscaled rewards."""
        return (
            ReturnNormalizer(self.learner.gamma, self.n_envs) if self.scale_reward and self.learner.on_policy else None
        )


def recorded_algorithm(values: Mapping[str, Any]) -> Any:
    """The learner's algorithm in the JSON `values` of settings; None if they have none."""
    learner = values.get("learner")
    algorithm = learner.get("algorithm") if isinstance(learner, dict) else None
    return algorithm if isinstance(algorithm, str) else None
