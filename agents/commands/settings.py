"""Settings that all trainings share."""

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import gymnasium as gym
import torch
from stable_baselines3.common.utils import set_random_seed

from rlgen import distributed
from rlgen.checks import at_least
from rlgen.data.demonstrations import Demonstrations
from rlgen.display import Display, Metric, Panel, joined
from rlgen.envs import WarpOptions
from rlgen.envs.backend import Backend
from rlgen.envs.registration import OF_MINIGRID, registered_id, split_id
from rlgen.errors import problem
from rlgen.runs import evaluation
from rlgen.runs.config import from_json, to_json
from rlgen.runs.folder import RunFolder
from rlgen.runs.instruction_scores import METRICS
from rlgen.sb3.panels import EPISODES, LEARNER
from rlgen.sb3.vec_env import ResumableVecEnv
from rlgen.system.device import choose_device

from .environment import EnvKwargs, Imports, evaluation_backend, import_typed, make_env
from .evaluation import Evaluation, PolicyEvaluation
from .finish import Task
from .policy_training import PolicyTraining, require_members
from .runner import go_on, share_of, start
from .table import DEFINED

log = logging.getLogger("rlgen")
MOST_SEED = 2**32 - 1
HELD = Metric("action_repeat", "steps for which an action is held")


@dataclass(frozen=True, kw_only=True)
class RunSettings(ABC):
    """Settings of every run."""

    agent: ClassVar[str]
    counts_steps: ClassVar[bool] = True
    """Whether a training has a length in steps, so that `rlgen resume --steps` can extend it."""
    evaluation: ClassVar[type[Evaluation]] = PolicyEvaluation
    """Evaluation of its finished model by `rlgen evaluate`."""
    taken_first: ClassVar[tuple[str, ...]] = ("--config",)
    """Options that are parsed before the others."""

    out: Path
    """Folder of the run; new or empty."""
    seed: int = 0
    """Random seed of environments, networks and sampling; 0 or more."""
    threads: int | None = None
    """Threads for stepping and updates; by default all usable cores. With 1, a resumed run is equal bit
    for bit, where the state of the environment can be saved (docs/environments.md)."""
    device: str = "auto"
    """Device of the networks: auto, cpu, cuda, cuda:1 …; under torchrun (docs/gpu.md) cuda, one GPU per process."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "agent" in vars(cls):
            DEFINED[cls.agent] = cls

    def __post_init__(self) -> None:
        at_least(self, 1, "threads")
        at_least(self, 0, "seed", remedy="give a whole number that is not negative")
        if self.seed > MOST_SEED:
            raise problem(f"seed of at most {MOST_SEED}", str(self.seed), "NumPy's generators take no larger one")

    def run(self) -> int:
        """Train in a new run folder. Returns the exit code."""
        return start(self)

    def go_on(self, folder: RunFolder) -> int:
        """Continue in `folder` from its newest checkpoint. Returns the exit code."""
        return go_on(folder, self)

    @abstractmethod
    def display(self) -> Display:
        """How reports show the run."""

    @abstractmethod
    def build(self, stack: ExitStack, folder: RunFolder | None) -> Any:
        """See `runner.Settings`."""

    @abstractmethod
    def total(self, training: Any) -> int:
        """Steps or updates in all."""

    def intervals(self) -> tuple[float, float]:
        """Steps between checkpoints, and between evaluations."""
        return math.inf, math.inf

    @property
    def evaluates_first(self) -> bool:
        """Whether the model is evaluated and saved before the first step, because it is trained already."""
        return False

    def with_steps(self, steps: float) -> Self:
        """These settings with `steps` steps (updates of an image model) in all."""
        assert self.counts_steps
        wanted: dict[str, Any] = {"steps": steps}
        return replace(self, **wanted)

    def recorded(self) -> dict[str, Any]:
        """The contents of config.json, from which a resumed run makes the same settings."""
        return {"agent": self.agent, **to_json(self)}

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> type[Self]:
        """The class whose options are offered, by what was typed and by the `values` of --config."""
        return cls

    @classmethod
    def without_idle(cls, values: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
        """The entries of another run's `values` that a training with the typed `arguments` reads."""
        return dict(values)

    @classmethod
    def restored(cls, values: dict[str, Any]) -> Self:
        """The inverse of `recorded`; `values` without the agent."""
        return from_json(cls, values)


@dataclass(frozen=True, kw_only=True)
class Training(RunSettings):
    """Settings of every training in an environment."""

    training: ClassVar[type[PolicyTraining]] = PolicyTraining
    """Class of the training that `build` makes."""
    panels: ClassVar[tuple[Panel, ...]] = ()
    """Panels of the metrics that the agent logs."""
    results: ClassVar[tuple[Metric, ...]] = ()
    """Metrics of its result that reports show."""
    spelling: ClassVar[str] = ""
    """Name of the agent in reports; by default `agent` in capitals."""

    env: str
    """Gymnasium id of the environment, e.g. Ant-v5, or my_module:Mine-v0, whose module is imported."""
    env_kwargs: EnvKwargs = field(default_factory=dict)
    """Keyword arguments of the environment, e.g. include_cfrc_ext_in_observation=False, or one JSON object."""
    imports: Imports = ()
    """Module that registers environments, installed or in the current folder."""
    backend: Backend = "auto"
    """Simulator of the environments. threads: C MuJoCo on a thread pool; numpy: tasks with their own equations;
    gymnasium: any registered id; auto: the first of these that has the task; warp: MuJoCo Warp on --device, for a GPU
    (docs/gpu.md)."""
    contacts: int | None = None
    """Contacts per environment that --backend warp has room for; by default the task's own number. Raise it when a
    training reports too many contacts."""
    constraints: int | None = None
    """Constraint rows in each environment that --backend warp has room for; by default the task's own number. Raise it
    when a training reports too many constraints."""
    episodes: int = 50
    """Episodes of the final evaluation."""
    video: bool = True
    """Video of the final policy, where a renderer is found."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "episodes")

    def run(self) -> int:
        import_typed(self.imports, self.env)
        return start(self.known())

    def known(self, command: str = "the same command") -> Self:
        """These settings with Gymnasium's id, and the module of `env` among `imports`. Imports nothing."""
        module = split_id(self.env)[0]
        imports = tuple(dict.fromkeys([*self.imports, *([module] if module else [])]))
        return replace(self, env=registered_id(self.env, imports, command), imports=imports)

    def go_on(self, folder: RunFolder) -> int:
        return go_on(folder, self.known(f"rlgen resume {folder.path}"))

    @property
    def n_codes(self) -> int | None:
        """Number of codes of the policy; None without codes."""
        return None

    def make_env(self, n_envs: int, seed: int) -> ResumableVecEnv:
        """The environment of the training."""
        warp = WarpOptions(device=self.device, contacts=self.contacts, constraints=self.constraints)
        return make_env(self.env, n_envs, seed, self.backend, self.threads, self.n_codes, None, self.env_kwargs, warp)

    def make_evaluation_env(self, n_envs: int, seed: int) -> ResumableVecEnv:
        """The environment of evaluations: the same task, stepped by C MuJoCo if MuJoCo Warp steps the training."""
        return replace(self, backend=evaluation_backend(self.backend)).make_env(n_envs, seed)

    def display(self) -> Display:
        panels = joined((*self.panels, *evaluation.PANELS, *EPISODES, *LEARNER))
        held = [HELD] if HELD.name in self.env_kwargs else []
        scores = METRICS if self.env.startswith(OF_MINIGRID) else ()
        return Display(name=self.spelling or self.agent.upper(), panels=panels, results=(*self.results, *held, *scores))

    def demonstrations(self, folder: RunFolder | None) -> Demonstrations | None:
        """The demonstrations of the settings, or those saved in the run `folder`; None for a training without."""
        return None

    def prepare(self, env: ResumableVecEnv, demonstrations: Demonstrations | None) -> None:
        """Changes the environment of the training before its first reset: not at all."""

    def achieved(self) -> dict[str, Any]:
        """Metrics of the result that the settings decide, by name."""
        return {name: value for name, value in self.env_kwargs.items() if name == HELD.name}

    @abstractmethod
    def agent_in(self, env: ResumableVecEnv, device: torch.device, demonstrations: Any) -> Any:
        """The agent with a new model in `env`, or behavioral cloning of one."""

    def build(self, stack: ExitStack, folder: RunFolder | None) -> PolicyTraining:
        demonstrations = self.demonstrations(folder)
        return share_of(self)._build(stack, demonstrations)

    def _build(self, stack: ExitStack, demonstrations: Demonstrations | None) -> PolicyTraining:
        device, sentence = choose_device(self.device)
        log.info(sentence)
        env = self.make_env(getattr(self, "n_envs", 1), self.seed)
        stack.callback(env.close)
        self.prepare(env, demonstrations)
        self._require_time_limit()
        set_random_seed(self.seed)
        agent = self.agent_in(env, device, demonstrations)
        require_members(agent, self.training.members)
        if not getattr(agent.model, "data_parallel", False):  # absent from SB3's own models
            distributed.require_single_process(type(agent.model).__name__)
        training = self.training(agent=agent, task=self._task(), demonstrations=demonstrations)
        training.settled = self.achieved()
        stack.callback(training.close)
        return training

    def _task(self) -> Task:
        return Task(
            env=self.env,
            env_kwargs=self.env_kwargs,
            make_evaluation_env=self.make_evaluation_env,
            backend=self.backend,
            episodes=self.episodes,
            video=self.video,
            codes=self.n_codes,
        )

    def _require_time_limit(self) -> None:
        limit = self.env_kwargs.get("max_episode_steps") or gym.spec(self.env).max_episode_steps
        has_own = self.env.startswith(OF_MINIGRID)  # by the size of the maze
        if not has_own and (limit is None or limit == -1):
            raise problem(
                "an environment with a time limit, so that every evaluation ends",
                f"{self.env} without max_episode_steps",
                "add --env-kwargs max_episode_steps=1000, or register it with a limit",
            )


@dataclass(frozen=True, kw_only=True)
class SteppedTraining(Training):
    """Settings of a training whose length is counted in environment steps."""

    steps: float = 1e6
    """Environment steps of the whole training, rounded up to whole rollouts."""
    checkpoint_every: float | None = None
    """Environment steps between checkpoints; 0 for one after every rollout. By default a hundredth of --steps, at
    least 1e5."""
    evaluate_every: float | None = None
    """Environment steps between evaluations of 10 episodes for the learning curve; 0 for none. By default a twentieth
    of --steps, at least 2.5e4."""
    n_envs: int = 32
    """Environments stepped at once, by all processes together."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "steps", "n_envs")
        at_least(self, 0, "checkpoint_every", "evaluate_every")

    def intervals(self) -> tuple[float, float]:
        """Environment steps between checkpoints, and between evaluations."""
        checkpoints, evaluations = self.checkpoint_every, self.evaluate_every
        return (
            max(1e5, self.steps / 100) if checkpoints is None else checkpoints,
            max(2.5e4, self.steps / 20) if evaluations is None else evaluations,
        )

    def total(self, training: Any) -> int:
        return int(self.steps)
