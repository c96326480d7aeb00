"""Settings of trainings whose learner is chosen: only the options of the chosen algorithm are offered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from rlgen.errors import problem
from rlgen.runs.config import from_json

from ..learner import LearnerConfig
from ..off_policy import OFF_POLICY_LEARNERS
from .choices import typed, with_learner
from .parsing import options_of
from .settings import SteppedTraining

CHOICE = "--learner.algorithm"
LEARNERS: dict[str, type[Any]] = {**dict.fromkeys(("ppo", "a2c", "trpo"), LearnerConfig), **OFF_POLICY_LEARNERS}
DEFAULT = LearnerConfig()
OFF_POLICY_ENVS = 8


@dataclass(frozen=True, kw_only=True)
class LearnerChoice(SteppedTraining):
    """Settings of a training with one of `learners`."""

    learners: ClassVar[Mapping[str, type[Any]]] = LEARNERS
    """Settings of the learners by their names."""

    learner: LearnerConfig = DEFAULT
    """Policy and reinforcement learner."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_defaults_of_idle()

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> type[Self]:
        """The class with the settings of the chosen algorithm."""
        asked = typed(arguments, CHOICE) or recorded_algorithm(values)
        algorithm = asked if asked is not None and asked in cls.learners else cls.learner.algorithm
        kind = cls.learners[algorithm]
        return with_learner(cls, cls.default_learner(algorithm, kind), tuple(cls.learners))

    @classmethod
    def default_learner(cls, algorithm: str, kind: type[Any]) -> Any:
        """The settings of the learner by default."""
        own: Any = cls.learner
        return replace(own, algorithm=algorithm) if cls.learners[own.algorithm] is kind else kind()

    @classmethod
    def elsewhere(cls) -> dict[str, str]:
        """Options that other choices read, by option, each with those choices."""
        own = cls.learners[cls.learner.algorithm]
        readers: dict[str, list[str]] = {}
        for name, kind in cls.learners.items():
            if kind is not own:
                for option in options_of(kind, "learner."):
                    readers.setdefault(option, []).append(name)
        return {option: f"{CHOICE} {' or '.join(names)}" for option, names in readers.items()}

    @classmethod
    def without_idle(cls, values: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
        """`values` without the settings of a learner that the typed one replaces."""
        before, asked, learner = recorded_algorithm(values), typed(arguments, CHOICE), values.get("learner", {})
        if asked is None or asked not in cls.learners or not isinstance(learner, dict):
            return dict(values)
        kept = learner if before is None or cls.learners.get(before) is cls.learners[asked] else {}
        read = {name: value for name, value in values.items() if name not in cls.idle_with(cls.learner)}
        return read | {"learner": {**kept, "algorithm": asked}}

    @classmethod
    def restored(cls, values: dict[str, Any]) -> Self:
        return from_json(cls.for_arguments((), values), values)

    @classmethod
    def idle_with(cls, learner: LearnerConfig) -> set[str]:
        """Names of the settings that a training with this learner does not read."""
        return set()

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


def recorded_algorithm(values: Mapping[str, Any]) -> Any:
    """The learner's algorithm in the JSON `values` of settings; None if they have none."""
    learner = values.get("learner")
    algorithm = learner.get("algorithm") if isinstance(learner, dict) else None
    return algorithm if isinstance(algorithm, str) else None
