"""The base class of batched simulators: it counts, ends and restarts episodes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from numbers import Real
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rlgen.errors import problem
from rlgen.sim.made_as import require_same_settings
from rlgen.sim.task import MarginRule, State, Task


class Step(NamedTuple):
    """One step of N environments. The D environments that finished are already in their next episode."""

    observations: np.ndarray
    """[N, O] float64; the initial observation of the next episode where one finished."""
    rewards: np.ndarray
    """[N] float64."""
    terminated: np.ndarray
    """[N] bool."""
    truncated: np.ndarray
    """[N] bool: the time limit is reached, possibly in a step that also terminated."""
    finished: np.ndarray
    """[D] indices of the environments whose episode ended."""
    final_observations: np.ndarray
    """[D, O] last observations of those episodes."""
    episode_returns: np.ndarray
    """[D] float64."""
    episode_lengths: np.ndarray
    """[D] steps."""
    infos: Mapping[str, np.ndarray] = {}
    """Name → [N, ...], see `Task.info`; empty unless the simulator `reports`."""


class Simulator(ABC):
    """N environments of one task. Environment i equals Gymnasium's environment with the seed `seeds[i]`.

    A subclass advances the physics. It sets `now` and `_before`, two states of N environments that are swapped every
    step, and the bounds of an action.

    Args:
        task: the definition of observation, reward and termination.
        n_envs: N.
        time_limit: steps after which an episode is truncated; None for never.
    """

    backend: ClassVar[str]
    """Name of the backend, as in `make_vec`."""
    margin_rule: MarginRule = "native"
    reports: bool = False
    """Whether steps contain `infos`."""
    qpos0: np.ndarray
    """[nq]: the model's default position."""
    now: State
    _before: State
    action_low: np.ndarray
    """[A] float64."""
    action_high: np.ndarray
    """[A] float64."""

    def __init__(self, task: Task, n_envs: int, time_limit: int | None) -> None:
        self.task, self.n_envs, self.time_limit = task, n_envs, time_limit
        self.rngs = [np.random.default_rng() for _ in range(n_envs)]
        self.elapsed = np.zeros(n_envs, dtype=np.int64)
        self.returns = np.zeros(n_envs)

    def reset(self, seeds: Sequence[int | None]) -> np.ndarray:
        """Start new episodes in all environments and return observations [N, O] float64. Where a seed is None the
        generator continues."""
        for i, seed in enumerate(seeds):
            if seed is not None:
                self.rngs[i] = np.random.default_rng(seed)
        self._begin(np.arange(self.n_envs))
        return self.observe()

    def observe(self) -> np.ndarray:
        """Observations [N, O] float64 of the current state."""
        return self.task.observe(self.now)

    def step(self, actions: np.ndarray) -> Step:
        """Take one step with `actions` [N, A]. Raises the exception of any thread; call reset() after one."""
        self._before, self.now = self.now, self._before
        self.now.ctrl[:] = actions
        self._advance()
        rewards = self.task.held_reward(self._before, actions, self.now)
        self._rearrange()
        terminated = self.task.terminated(self.now)
        observations = self.observe()
        infos = self._infos(actions)
        self.elapsed += 1
        self.returns += rewards
        truncated = self.elapsed >= (np.inf if self.time_limit is None else self.time_limit)
        finished = np.flatnonzero(terminated | truncated)
        ended = (observations[finished], self.returns[finished], self.elapsed[finished])
        if len(finished):
            self._begin(finished)
            observations[finished] = self.task.observe(self.now.rows(finished))
        return Step(observations, rewards, terminated, truncated, finished, *ended, infos)

    def _infos(self, actions: np.ndarray) -> dict[str, np.ndarray]:
        """Copies of the task's infos, because a finished environment restarts in the same arrays."""
        if not self.reports:
            return {}
        infos = self.task.info(self._before, actions, self.now, self.qpos0)
        return {name: np.array(array) for name, array in infos.items()}

    def change_task(self, name: str, value: Any) -> None:
        """Continue with another value of one of the task's fields.

        Raises:
            InputError: the task has no such field, the value has another type, or the size of an observation would
                change.
        """
        settings = [field.name for field in fields(self.task)]
        if name not in settings:
            raise problem(f"a setting of {type(self.task).__name__}: {', '.join(settings)}", name, "choose one of them")
        old = getattr(self.task, name)
        kinds = Real if isinstance(old, float) else type(old)
        if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(old, bool):
            raise problem(f"{name} of the same type as {old!r}", repr(value), "give a value of that type")
        changed: dict[str, Any] = {name: value}
        other = replace(self.task, **changed)
        before, after = (task.observe(self.now).shape[1] for task in (self.task, other))
        if before != after:
            remedy = "pass it in env_kwargs to make_vec"
            raise problem(f"observation dimension {before}, as before", f"{name}={value!r} with {after}", remedy)
        self.task = other

    def state_dict(self) -> dict[str, Any]:
        """The state from which every environment continues bit for bit: arrays and JSON values."""
        return {
            "made_as": self._made_as(),
            "fields": {name: array.copy() for name, array in vars(self.now).items()},
            "elapsed": self.elapsed.copy(),
            "returns": self.returns.copy(),
            "generators": [rng.bit_generator.state for rng in self.rngs],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a `state_dict()`. Raises `InputError` if task, number of environments or settings differ."""
        require_same_settings(self.task, self._made_as(), state["made_as"])
        for name, array in vars(self.now).items():
            array[:] = np.asarray(state["fields"][name])
        self.elapsed[:] = np.asarray(state["elapsed"])
        self.returns[:] = np.asarray(state["returns"])
        for rng, generator in zip(self.rngs, state["generators"], strict=True):
            rng.bit_generator.state = generator

    def save_rows(self, which: np.ndarray) -> dict[str, np.ndarray]:
        """Copies of the states of the environments `which` [K], [K, ...] each by name, from which any environment of
        the same task continues bit for bit. Without the generators, which only starts of episodes use."""
        fields = {f"fields.{name}": array[which].copy() for name, array in vars(self.now).items()}
        return {**fields, "elapsed": self.elapsed[which].copy(), "returns": self.returns[which].copy()}

    def load_rows(self, which: np.ndarray, rows: Mapping[str, np.ndarray]) -> None:
        """Puts the environments `which` [K] into states of `save_rows` [K, ...]."""
        for name, array in vars(self.now).items():
            array[which] = rows[f"fields.{name}"]
        self.elapsed[which], self.returns[which] = rows["elapsed"], rows["returns"]

    @abstractmethod
    def start_from(self, observations: np.ndarray, share: float) -> None:
        """From the next episode on, start this share of them in the states of demonstrated observations [R, O]. Raises
        `InputError` for a task whose observations do not determine its states."""

    @abstractmethod
    def close(self) -> None:
        """Release the resources of the simulator other than memory."""

    @abstractmethod
    def _advance(self) -> None:
        """Fill `now`, whose `ctrl` holds the action, with the state after `_before`."""

    @abstractmethod
    def _rearrange(self) -> None:
        """Move the task's own bodies, see `Task.moved`."""

    @abstractmethod
    def _restart(self, which: np.ndarray) -> None:
        """Fill the rows `which` of `now` with initial states."""

    def _begin(self, which: np.ndarray) -> None:
        self._restart(which)
        self.elapsed[which] = 0
        self.returns[which] = 0.0

    def _made_as(self) -> str:
        """The settings that a saved state depends on."""
        return f"{self.n_envs} × {self.task!r}, time limit {self.time_limit}"
