"""The trainings of policies: an agent around a Stable-Baselines3 model, and behavioral cloning."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger

from rlgen import distributed
from rlgen.data.demonstrations import Demonstrations
from rlgen.errors import problem
from rlgen.reports.page import flat
from rlgen.runs.evaluation import evaluate
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.runs.result import Result
from rlgen.sb3.finite import finite_weights, require_finite_state
from rlgen.sb3.vec_env import ResumableVecEnv
from rlgen.system.console import number

from ..bc import BC
from ..trainable import Observer
from .finish import Task, finish, result_of

log = logging.getLogger("rlgen")
CURVE_EPISODES, CURVE_SEED = 10, 20_000
SHOW_INTERVAL_S = 0.2
DEMONSTRATIONS = "demonstrations.npz"


class Agent(Protocol):
    """A Stable-Baselines3 model with what trains it: GAIL, InfoGAIL or Explorer."""

    name: str
    """Key of the agent's state in a checkpoint."""
    on_warm_up: Callable[[int, int], None] | None
    """Called during learning before the first step (e.g. a warm start), with the updates done and at most."""
    shown: Mapping[str, str]
    """Labels of the logged values that the progress display shows, by log name."""

    @property
    def model(self) -> BaseAlgorithm: ...

    def learn(self, total_timesteps: int, callback: BaseCallback | None = None) -> Any:
        """Train for `total_timesteps` more environment steps, as SB3's `learn` does. Afterwards the model is the final
        one (e.g. with averaged weights), even for 0 steps."""
        ...

    def acting(self) -> AbstractContextManager[None]:
        """A context between two rounds in which the model is the final one (e.g. with averaged weights)."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """Contents of the files that accompany a checkpoint in the run folder, by file name."""
        ...

    def achieved(self) -> Mapping[str, Any]:
        """Metrics of the finished run's result, by name."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The complete state between two rounds, except for the environment and the random generators."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...


MEMBERS = (*Agent.__annotations__, *(name for name in vars(Agent) if not name.startswith("_")))
"""Names of what an `Agent` has."""


def require_members(agent: Any, members: Sequence[str]) -> None:
    """Raise `InputError` for an agent without one of the `members`, before it trains and not where it is needed."""
    missing = [name for name in members if not hasattr(agent, name)]
    if missing:
        raise problem(
            f"an agent with {', '.join(missing)}",
            f"{type(agent).__name__} without",
            "add it; docs/extend/agent.md says what an agent must have",
        )


class ObserverWriter(KVWriter):
    """Writes SB3's log to a run's metrics."""

    observer: Observer

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        numbers = (int, float, np.number)
        self.observer.log({name: float(v) for name, v in key_values.items() if isinstance(v, numbers)})

    def close(self) -> None:
        """Does nothing: the run closes its metrics."""


class Rounds(BaseCallback):
    """Calls `observer` between rounds, when the state is consistent. An off-policy model's rounds are single steps, or
    those of its `train_freq`; not every one is displayed."""

    def __init__(self, observer: Observer, shown: Mapping[str, str]):
        super().__init__()
        self.observer, self.shown_names, self.shown_at = observer, shown, 0.0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.observer.between()

    def _on_rollout_end(self) -> None:
        now = time.perf_counter()
        if now - self.shown_at < SHOW_INTERVAL_S:
            return
        self.shown_at = now
        logged = self.model.logger.name_to_value
        values = {label: float(logged[name]) for name, label in self.shown_names.items() if name in logged}
        if self.model.ep_info_buffer:
            values = {"return": float(np.mean([each["r"] for each in self.model.ep_info_buffer])), **values}
        self.observer.show(values)


CURVE_NUMBERS = ("return_mean", "return_std", "return_min", "episode_length_mean", "terminated")


def note_result(metrics: Metrics, folder: RunFolder, result: Result) -> None:
    """Show configuration and final evaluation in TensorBoard."""
    numbers = {f"evaluation/{name}": getattr(result.returns, name) for name in CURVE_NUMBERS}
    metrics.write_hparams(result.steps, flat(folder.config), numbers)


@dataclass(kw_only=True)
class PolicyTraining:
    """A `Trainable` that trains `agent` in the environment of its model."""

    agent: Agent
    task: Task
    demonstrations: Demonstrations | None = None
    unit: ClassVar[str] = "steps"
    members: ClassVar[Sequence[str]] = MEMBERS
    """Names of what the agent must have."""
    has_curve: ClassVar[bool] = True
    """Whether the policy is evaluated during the training."""
    settled: Mapping[str, Any] = field(default_factory=dict, init=False)
    """Metrics of the result that the settings decide."""
    curve_env: ResumableVecEnv | None = field(default=None, init=False)
    """Environment of the learning curve's evaluations; None in all processes but the first."""

    def __post_init__(self) -> None:
        # Made before the run's random generators are restored, so that a resumed run draws the same numbers.
        if self.has_curve and distributed.rank() == 0:
            self.curve_env = self.task.make_evaluation_env(CURVE_EPISODES, 0)
        self.writer = ObserverWriter()
        self.model.set_logger(Logger(None, [self.writer]))  # a checkpoint contains values that are still to be logged

    @property
    def model(self) -> BaseAlgorithm:
        return self.agent.model

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def step(self) -> int:
        return self.model.num_timesteps

    def advance(self, until: int, observer: Observer) -> None:
        self.writer.observer = observer
        self.agent.on_warm_up = observer.show_warm_up
        if self.step >= until:
            self.agent.learn(0)
            return
        with finite_weights(self.model):
            self.agent.learn(until - self.step, Rounds(observer, self.agent.shown))

    def evaluate(self) -> Mapping[str, float]:
        """Returns of the policy's mean actions on held-out seeds."""
        with self.agent.acting():
            found = evaluate(self.model, self.curve_env, CURVE_EPISODES, seed=CURVE_SEED, label=None).summary()
        return {name: found[name] for name in CURVE_NUMBERS}

    def pictures(self) -> Mapping[str, np.ndarray]:
        return {}

    def describe(self, evaluation: Mapping[str, float]) -> str:
        mean, std, lowest = (number(evaluation[f"return_{name}"]) for name in ("mean", "std", "min"))
        return f"return {mean} ± {std} (lowest {lowest}) over {CURVE_EPISODES} episodes"

    def files(self) -> Mapping[str, bytes]:
        return self.agent.files()

    def state_dict(self) -> dict[str, Any]:
        state, env = self.agent.state_dict(), self.model.get_env()
        # In the coverage, NaN means that the kernel width is not chosen yet.
        learned = {name: part for name, part in state.items() if name != "coverage"}
        require_finite_state(learned, self.step)
        return {self.agent.name: state, "env": env.state_dict() if env.can_resume else None}  # type: ignore[union-attr]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.agent.load_state_dict(state[self.agent.name])
        if state["env"] is None:
            log.info("this environment cannot be saved mid-episode: new episodes begin at step %d", self.step)
            self.model._last_obs = None  # type: ignore[attr-defined]
        else:
            self.model.get_env().load_state_dict(state["env"])  # type: ignore[union-attr]

    def keep(self, folder: RunFolder) -> None:
        """Write what the run needs to be resumed, also on another machine."""
        if self.demonstrations is not None:
            self.demonstrations.save(folder / DEMONSTRATIONS)

    def finish(self, folder: RunFolder, metrics: Metrics, seconds: float) -> None:
        achieved = result_of(folder, self, seconds, self.achieved())
        note_result(metrics, folder, finish(folder, self.task, self.model, self.demonstrations, achieved))

    def close(self) -> None:
        """Close the environment of evaluations."""
        if self.curve_env is not None:
            self.curve_env.close()

    def achieved(self) -> Mapping[str, Any]:
        """Metrics of the result, in addition to its evaluation."""
        return {**self.settled, **self.agent.achieved()}


@dataclass(kw_only=True)
class CloningTraining(PolicyTraining):
    """A `Trainable` of behavioral cloning. It saves no checkpoints, because it is short, and starts again when
    resumed."""

    agent: BC  # type: ignore[assignment]
    unit: ClassVar[str] = "updates"
    members: ClassVar[Sequence[str]] = ("model", "learn")
    has_curve: ClassVar[bool] = False
    done: int = field(default=0, init=False)
    kept: str | None = field(default=None, init=False)
    """Regularization of the chosen clone: regularized or plain."""

    @property
    def step(self) -> int:
        return self.done

    def advance(self, until: int, observer: Observer) -> None:
        def report(update: int, values: dict[str, float]) -> None:
            self.done = update
            observer.log(values)
            observer.show(values)
            observer.between()

        result = self.agent.learn(report)
        self.kept = result.kept
        observer.message(
            f"best held-out loss {result.held_out_loss:.4g} at update {result.best_update:,} of {result.updates:,}, "
            f"cloned {result.regularization}"
        )

    def evaluate(self) -> Mapping[str, float]:
        return {}

    def describe(self, evaluation: Mapping[str, float]) -> str:
        return ""

    def files(self) -> Mapping[str, bytes]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        raise ValueError("a checkpoint of behavioral cloning, which writes none")

    def achieved(self) -> Mapping[str, Any]:
        return {"cloning": self.kept}
