"""Batched stepping on C MuJoCo: one MjData per environment, a pool of threads, float64 throughout."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import mujoco
import numpy as np

from rlgen.errors import problem
from rlgen.sim.model import load_model
from rlgen.sim.pool import Pool, usable_cpus
from rlgen.sim.task import MarginRule, State, Task

_INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION  # all that mj_step reads, the solver's warm start included


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


class ThreadedSim:
    """N environments of one task. Environment i is Gymnasium's, seeded with `seeds[i]`, whatever the threads.

    Args:
        task: what to observe, pay and end.
        n_envs: N.
        time_limit: steps after which an episode is truncated; None for never.
        n_threads: threads that step, the caller's included; None for one per usable CPU.
        margin_rule: see `load_model`.
    """

    def __init__(
        self,
        task: Task,
        n_envs: int,
        time_limit: int | None,
        n_threads: int | None = None,
        margin_rule: MarginRule = "native",
    ) -> None:
        self.task, self.n_envs, self.time_limit, self.margin_rule = task, n_envs, time_limit, margin_rule
        self.model = load_model(task, margin_rule)
        self.datas = [mujoco.MjData(self.model) for _ in range(n_envs)]
        self.rngs = [np.random.default_rng() for _ in range(n_envs)]
        self.elapsed = np.zeros(n_envs, dtype=np.int64)
        self.returns = np.zeros(n_envs)
        self._ctrl_views = [data.ctrl for data in self.datas]
        self._views = {
            name: [getattr(data, name).reshape(-1) for data in self.datas] for name in task.fields if name != "ctrl"
        }
        self._before, self.now = self._empty_state(), self._empty_state()
        self._needs_contact_forces = "cfrc_ext" in task.fields
        self._pool = Pool(min(n_threads or usable_cpus(), n_envs))

    @property
    def n_threads(self) -> int:
        return self._pool.n_threads

    def reset(self, seeds: Sequence[int | None]) -> np.ndarray:
        """New episodes everywhere: [N, O] float64. Where a seed is None the generator goes on from where it is."""
        for i, seed in enumerate(seeds):
            if seed is not None:
                self.rngs[i] = np.random.default_rng(seed)
        self._restart(np.arange(self.n_envs))
        return self.observe()

    def observe(self) -> np.ndarray:
        """Observations [N, O] float64 of the present state."""
        return self.task.observe(self.now)

    def step(self, actions: np.ndarray) -> Step:
        """One step with `actions` [N, A]. An exception in a thread is raised here; reset() before going on then."""
        self._before, self.now = self.now, self._before
        self.now.ctrl[:] = actions
        self._pool.run(self._step_one, range(self.n_envs))
        for name, views in self._views.items():
            np.concatenate(views, out=getattr(self.now, name).reshape(-1))
        rewards = self.task.reward(self._before, actions, self.now)
        terminated = self.task.terminated(self.now)
        observations = self.observe()
        self.elapsed += 1
        self.returns += rewards
        truncated = self.elapsed >= (np.inf if self.time_limit is None else self.time_limit)
        finished = np.flatnonzero(terminated | truncated)
        ended = (observations[finished], self.returns[finished], self.elapsed[finished])
        if len(finished):
            self._restart(finished)
            observations[finished] = self.task.observe(self.now.rows(finished))
        return Step(observations, rewards, terminated, truncated, finished, *ended)

    def state_dict(self) -> dict[str, Any]:
        """All from which every environment goes on bit for bit: arrays and JSON values."""
        physics = np.empty((self.n_envs, mujoco.mj_stateSize(self.model, _INTEGRATION)))
        for row, data in zip(physics, self.datas, strict=True):
            mujoco.mj_getState(self.model, data, row, _INTEGRATION)
        return {
            "made_as": self._made_as(),
            "physics": physics,
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
        for row, data in zip(np.asarray(state["physics"]), self.datas, strict=True):
            mujoco.mj_setState(self.model, data, row, _INTEGRATION)
        for name, array in vars(self.now).items():
            array[:] = np.asarray(state["fields"][name])
        self.elapsed[:] = np.asarray(state["elapsed"])
        self.returns[:] = np.asarray(state["returns"])
        for rng, generator in zip(self.rngs, state["generators"], strict=True):
            rng.bit_generator.state = generator

    def close(self) -> None:
        """Ends the threads."""
        self._pool.close()

    def _step_one(self, i: int) -> None:
        self._ctrl_views[i][:] = self.now.ctrl[i]
        mujoco.mj_step(self.model, self.datas[i], self.task.frame_skip)
        if self._needs_contact_forces:
            mujoco.mj_rnePostConstraint(self.model, self.datas[i])

    def _restart(self, which: np.ndarray) -> None:
        self._pool.run(self._restart_one, which.tolist())
        self.elapsed[which] = 0
        self.returns[which] = 0.0

    def _restart_one(self, i: int) -> None:
        data = self.datas[i]
        mujoco.mj_resetData(self.model, data)
        qpos0, qvel0 = self.model.qpos0, np.zeros(self.model.nv)
        data.qpos[:], data.qvel[:] = self.task.initial(self.rngs[i], qpos0, qvel0)
        mujoco.mj_forward(self.model, data)
        self.now.ctrl[i] = 0.0
        for name, views in self._views.items():
            getattr(self.now, name)[i].reshape(-1)[:] = views[i]

    def _made_as(self) -> str:
        """What a saved state depends on."""
        settings = f"time limit {self.time_limit}, margin rule {self.margin_rule}, MuJoCo {mujoco.__version__}"
        return f"{self.n_envs} × {self.task!r}, {settings}"

    def _empty_state(self) -> State:
        shapes = {name: np.shape(getattr(self.datas[0], name)) for name in (*self._views, "ctrl")}
        return State(**{name: np.zeros((self.n_envs, *shape)) for name, shape in shapes.items()})
