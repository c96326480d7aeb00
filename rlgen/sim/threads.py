"""Batched stepping on C MuJoCo: one MjData per environment, a pool of threads, float64."""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from rlgen.sim.model import begin, load_model
from rlgen.sim.reference_states import ReferenceStates
from rlgen.sim.simulator import Simulator
from rlgen.sim.task import MarginRule, State, Task
from rlgen.system.pool import Pool, usable_cpus

_INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION  # everything that mj_step reads, with the solver's warm start


class ThreadedSim(Simulator):
    """N environments of one task. Results do not depend on the number of threads.

    Args:
        task: the definition of observation, reward and termination.
        n_envs: N.
        time_limit: steps after which an episode is truncated; None for never.
        n_threads: threads that step, including the caller's; None for one per usable CPU.
        margin_rule: see `MarginRule`.
        reports: whether steps contain `infos`.
    """

    backend = "threads"

    def __init__(
        self,
        task: Task,
        n_envs: int,
        time_limit: int | None,
        n_threads: int | None = None,
        margin_rule: MarginRule = "native",
        reports: bool = False,
    ) -> None:
        super().__init__(task, n_envs, time_limit)
        self.margin_rule, self.reports = margin_rule, reports
        self.model = load_model(task, margin_rule)
        self.qpos0 = self.model.qpos0
        self.action_low, self.action_high = self.model.actuator_ctrlrange.T
        self.datas = [mujoco.MjData(self.model) for _ in range(n_envs)]
        self._ctrl_views = [data.ctrl for data in self.datas]
        read = (*task.fields, *task.info_fields) if reports else task.fields
        self._views = {
            name: [getattr(data, name).reshape(-1) for data in self.datas] for name in read if name != "ctrl"
        }
        self._before, self.now = self._empty_state(), self._empty_state()
        self.references: ReferenceStates | None = None
        self._needs_contact_forces = "cfrc_ext" in task.fields
        self._pool = Pool(min(n_threads or usable_cpus(), n_envs))

    def start_from(self, observations: np.ndarray, share: float) -> None:
        self.references = ReferenceStates.of(self.task, self.model, observations, share)

    @property
    def n_threads(self) -> int:
        return self._pool.n_threads

    def state_dict(self) -> dict[str, Any]:
        physics = np.empty((self.n_envs, mujoco.mj_stateSize(self.model, _INTEGRATION)))
        for row, data in zip(physics, self.datas, strict=True):
            mujoco.mj_getState(self.model, data, row, _INTEGRATION)
        return super().state_dict() | {"physics": physics}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        for row, data in zip(np.asarray(state["physics"]), self.datas, strict=True):
            mujoco.mj_setState(self.model, data, row, _INTEGRATION)

    def save_rows(self, which: np.ndarray) -> dict[str, np.ndarray]:
        physics = np.empty((len(which), mujoco.mj_stateSize(self.model, _INTEGRATION)))
        for row, index in zip(physics, which, strict=True):
            mujoco.mj_getState(self.model, self.datas[index], row, _INTEGRATION)
        return super().save_rows(which) | {"physics": physics}

    def load_rows(self, which: np.ndarray, rows: Mapping[str, np.ndarray]) -> None:
        super().load_rows(which, rows)
        for row, index in zip(rows["physics"], which, strict=True):
            mujoco.mj_setState(self.model, self.datas[index], row, _INTEGRATION)

    def close(self) -> None:
        """End the threads."""
        self._pool.close()

    def _advance(self) -> None:
        self._pool.run(self._step_one, range(self.n_envs))
        for name, views in self._views.items():
            np.concatenate(views, out=getattr(self.now, name).reshape(-1))

    def _step_one(self, i: int) -> None:
        self._ctrl_views[i][:] = self.now.ctrl[i]
        mujoco.mj_step(self.model, self.datas[i], self.task.physics_steps)
        if self._needs_contact_forces:
            mujoco.mj_rnePostConstraint(self.model, self.datas[i])

    def _rearrange(self) -> None:
        if not self.model.nmocap:
            return
        self.now.mocap_pos[:] = self.task.update_mocap(self.now)
        for data, positions in zip(self.datas, self.now.mocap_pos, strict=True):
            data.mocap_pos[:] = positions

    def _restart(self, which: np.ndarray) -> None:
        self._pool.run(self._restart_one, which.tolist())

    def _restart_one(self, i: int) -> None:
        data = self.datas[i]
        begin(self.task, self.model, data, self.rngs[i], self.references)
        self.now.ctrl[i] = 0.0
        for name, views in self._views.items():
            getattr(self.now, name)[i].reshape(-1)[:] = views[i]

    def _made_as(self) -> str:
        return f"{super()._made_as()}, margin rule {self.margin_rule}, MuJoCo {mujoco.__version__}"

    def _empty_state(self) -> State:
        shapes = {name: np.shape(getattr(self.datas[0], name)) for name in (*self._views, "ctrl")}
        return State(**{name: np.zeros((self.n_envs, *shape)) for name, shape in shapes.items()})
