"""What every batched simulator has: episodes that are counted, ended and begun anew."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from numbers import Real
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rlgen.errors import problem
from rlgen.sim.task import MarginRule, State, Task


class Step(NamedTuple):
    """One step of N environments. The D of them that finished have already begun their next episode."""

    observations: np.ndarray
    """[N, O] float64; the first of the new episode where one finished."""
    rewards: np.ndarray
    """[N] float64."""
    terminated: np.ndarray
    """[N] bool."""
    truncated: np.ndarray
    """[N] bool: the time limit came, maybe in the step that also terminated."""
    finished: np.ndarray
    """[D] numbers of the environments whose episode ended."""
    final_observations: np.ndarray
    """[D, O] last observations of those episodes."""
    episode_returns: np.ndarray
    """[D] float64."""
    episode_lengths: np.ndarray
    """[D] steps."""
    infos: Mapping[str, np.ndarray] = {}
    """[N, ...] each: what the task reports of the step, where the simulator reports; see `Task.info`."""


class Simulator(ABC):
    """N environments of one task. Environment i is Gymnasium's, seeded with `seeds[i]`.

    A subclass moves the physics. It sets `now` and `_before`, states of N environments that take turns, and the
    bounds of an action.

    Args:
        task: what to observe, pay and end.
        n_envs: N.
        time_limit: steps after which an episode is truncated; None for never.
    """

    backend: ClassVar[str]
    """What steps the environments, as `make_vec` calls it."""
    margin_rule: MarginRule = "native"
    reports: bool = False
    """Whether steps carry `infos`."""
    qpos0: np.ndarray
    """[nq]: the model's own position."""
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
        """New episodes everywhere: [N, O] float64. Where a seed is None the generator goes on from where it is."""
        for i, seed in enumerate(seeds):
            if seed is not None:
                self.rngs[i] = np.random.default_rng(seed)
        self._begin(np.arange(self.n_envs))
        return self.observe()

    def observe(self) -> np.ndarray:
        """Observations [N, O] float64 of the present state."""
        return self.task.observe(self.now)

    def step(self, actions: np.ndarray) -> Step:
        """One step with `actions` [N, A]. An exception in a thread is raised here; reset() before going on then."""
        self._before, self.now = self.now, self._before
        self.now.ctrl[:] = actions
        self._advance()
        rewards = self.task.reward(self._before, actions, self.now)
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
        """Copies, because a finished environment begins anew in the same arrays."""
        if not self.reports:
            return {}
        told = self.task.info(self._before, actions, self.now, self.qpos0)
        return {name: np.array(array) for name, array in told.items()}

    def change_task(self, name: str, value: Any) -> None:
        """Goes on with another value of one of the task's fields.

        Raises:
            InputError: the task has no such field, its value is of another kind, or an observation would have
                another size.
        """
        settings = [field.name for field in fields(self.task)]
        if name not in settings:
            raise problem(f"a setting of {type(self.task).__name__}: {', '.join(settings)}", name, "choose one of them")
        old = getattr(self.task, name)
        kinds = Real if isinstance(old, float) else type(old)
        if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(old, bool):
            raise problem(f"{name} of the kind of {old!r}", repr(value), "give one of that kind")
        changed: dict[str, Any] = {name: value}
        other = replace(self.task, **changed)
        before, after = (task.observe(self.now).shape[1] for task in (self.task, other))
        if before != after:
            remedy = "pass it in env_kwargs to make_vec"
            raise problem(f"{before} observation numbers, as before", f"{name}={value!r} with {after}", remedy)
        self.task = other

    def state_dict(self) -> dict[str, Any]:
        """All from which every environment goes on bit for bit: arrays and JSON values."""
        return {
            "made_as": self._made_as(),
            "fields": {name: array.copy() for name, array in vars(self.now).items()},
            "elapsed": self.elapsed.copy(),
            "returns": self.returns.copy(),
            "generators": [rng.bit_generator.state for rng in self.rngs],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over a `state_dict()` of the same task, number of environments and settings."""
        if state["made_as"] != self._made_as():
            raise problem(
                f"a state of {self._made_as()}",
                f"one of {state['made_as']}",
                "make the environment as it was made then",
            )
        for name, array in vars(self.now).items():
            array[:] = np.asarray(state["fields"][name])
        self.elapsed[:] = np.asarray(state["elapsed"])
        self.returns[:] = np.asarray(state["returns"])
        for rng, generator in zip(self.rngs, state["generators"], strict=True):
            rng.bit_generator.state = generator

    @abstractmethod
    def close(self) -> None:
        """Gives back what the simulator holds besides memory."""

    @abstractmethod
    def _advance(self) -> None:
        """Fills `now`, whose `ctrl` holds the action, with what follows `_before`."""

    @abstractmethod
    def _rearrange(self) -> None:
        """Moves what the task itself moves, see `Task.moved`."""

    @abstractmethod
    def _restart(self, which: np.ndarray) -> None:
        """Fills the rows `which` of `now` with the start of an episode."""

    def _begin(self, which: np.ndarray) -> None:
        self._restart(which)
        self.elapsed[which] = 0
        self.returns[which] = 0.0

    def _made_as(self) -> str:
        """What a saved state depends on."""
        return f"{self.n_envs} × {self.task!r}, time limit {self.time_limit}"
