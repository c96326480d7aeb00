"""Classic control: tasks that bring their own equations of motion, and all environments in one array."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rlgen.errors import problem
from rlgen.sim.scene import Disc, Stroke
from rlgen.sim.simulator import Simulator
from rlgen.sim.task import Array, State, Task


@dataclass(frozen=True, kw_only=True)
class ClassicTask(Task):
    """A task whose physics is an ordinary differential equation of a few coordinates, without contacts.

    An action is in [-1, 1], a share of the largest force; `State.ctrl` holds it clipped. Q coordinates.
    """

    fields: ClassVar[tuple[str, ...]] = ("qpos", "qvel")
    n_coordinates: ClassVar[int]
    """Q."""
    n_actions: ClassVar[int] = 1
    """A."""
    view: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 4.0)
    """What a picture shows: x and y of its middle and its breadth, m."""

    frame_skip: int = 1

    @abstractmethod
    def acceleration(self, qpos: Array, qvel: Array, ctrl: Array) -> Array:
        """[N, Q]: of the coordinates, for positions and velocities [N, Q] and a held action [N, A]."""

    def scene(self, qpos: np.ndarray) -> list[Stroke | Disc]:
        """What a picture of coordinates [Q] shows, from the back to the front."""
        raise problem("a task with a picture, for render_mode='rgb_array'", type(self).__name__, "define its scene")

    def integrate(self, qpos: Array, qvel: Array, ctrl: Array) -> tuple[Array, Array]:
        """(qpos, qvel) [N, Q] one control step later: the classical Runge-Kutta method, `frame_skip` times."""
        h = self.timestep_s
        for _ in range(self.frame_skip):
            v1, a1 = qvel, self.acceleration(qpos, qvel, ctrl)
            v2 = qvel + 0.5 * h * a1
            a2 = self.acceleration(qpos + 0.5 * h * v1, v2, ctrl)
            v3 = qvel + 0.5 * h * a2
            a3 = self.acceleration(qpos + 0.5 * h * v2, v3, ctrl)
            v4 = qvel + h * a3
            a4 = self.acceleration(qpos + h * v3, v4, ctrl)
            qpos = qpos + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4)
            qvel = qvel + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        return qpos, qvel


class ClassicSim(Simulator):
    """N environments of one classic task; every operation is on the arrays of all of them."""

    backend = "numpy"

    def __init__(self, task: ClassicTask, n_envs: int, time_limit: int | None, reports: bool = False) -> None:
        super().__init__(task, n_envs, time_limit)
        self.reports = reports
        self.qpos0 = np.zeros(task.n_coordinates)
        self.action_low, self.action_high = np.full((2, task.n_actions), [[-1.0], [1.0]])
        self._before, self.now = self._empty_state(), self._empty_state()

    @property
    def physics(self) -> ClassicTask:
        """The task, which is the physics too."""
        assert isinstance(self.task, ClassicTask)
        return self.task

    def close(self) -> None:
        """Nothing is held."""

    def _advance(self) -> None:
        before, now = self._before, self.now
        now.ctrl.clip(self.action_low, self.action_high, out=now.ctrl)
        now.qpos[:], now.qvel[:] = self.physics.integrate(before.qpos, before.qvel, now.ctrl)

    def _rearrange(self) -> None:
        """A classic task has no bodies of its own."""

    def _restart(self, which: np.ndarray) -> None:
        rest = np.zeros(self.physics.n_coordinates)
        for i in which:
            self.now.qpos[i], self.now.qvel[i] = self.task.initial(self.rngs[i], rest, rest)
            self.now.ctrl[i] = 0.0

    def _empty_state(self) -> State:
        sizes = {"qpos": self.physics.n_coordinates, "qvel": self.physics.n_coordinates, "ctrl": self.physics.n_actions}
        return State(**{name: np.zeros((self.n_envs, size)) for name, size in sizes.items()})
