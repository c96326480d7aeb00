"""Classic control: tasks with their own equations of motion, as a batched simulator and as a Gymnasium environment, and
their pictures of strokes and discs in metres.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np
from PIL import Image, ImageDraw

from rlgen.errors import problem
from rlgen.sim.reference_states import ReferenceStates
from rlgen.sim.simulator import Simulator
from rlgen.sim.task import Array, State, Task

SMOOTH = 3
"""Supersampling factor: pixels drawn per pixel of the result, along each side."""
PAPER, INK, GREY, LIGHT = "#fbfaf7", "#2b2d33", "#a9adb5", "#e7e5df"
BLUE, ORANGE, GREEN = "#2f6db5", "#d9822b", "#4c9a5b"


class Stroke(NamedTuple):
    """A line through points [K, 2], m."""

    points: Sequence[tuple[float, float]]
    width: float
    """Width, m."""
    color: str


class Disc(NamedTuple):
    """A filled circle."""

    center: tuple[float, float]
    """Center (x, y), m."""
    radius: float
    """Radius, m."""
    color: str


def paint(
    shapes: Sequence[Stroke | Disc], center: tuple[float, float], breadth: float, width: int, height: int
) -> np.ndarray:
    """A picture [height, width, 3] uint8 of the shapes, drawn in order. The picture shows `breadth` metres around
    `center`."""
    scale = SMOOTH * width / breadth
    picture = Image.new("RGB", (SMOOTH * width, SMOOTH * height), PAPER)
    pen = ImageDraw.Draw(picture)

    def pixel(point: tuple[float, float]) -> tuple[float, float]:
        x, y = float(point[0]) - center[0], float(point[1]) - center[1]
        return SMOOTH * width / 2 + x * scale, SMOOTH * height / 2 - y * scale

    def disc(at: tuple[float, float], radius: float, color: str) -> None:
        (x, y), r = pixel(at), radius * scale
        pen.ellipse((x - r, y - r, x + r, y + r), fill=color)

    for shape in shapes:
        if isinstance(shape, Disc):
            disc(*shape)
        else:
            pen.line([pixel(point) for point in shape.points], shape.color, round(shape.width * scale), joint="curve")
            for end in (shape.points[0], shape.points[-1]):
                disc(end, shape.width / 2, shape.color)
    return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


@dataclass(frozen=True, kw_only=True)
class ClassicTask(Task):
    """A task whose physics is an ordinary differential equation in Q coordinates, without contacts.

    An action is in [-1, 1], a fraction of the maximum force; `State.ctrl` holds the clipped action.
    """

    fields: ClassVar[tuple[str, ...]] = ("qpos", "qvel")
    n_coordinates: ClassVar[int]
    """Q, the number of coordinates."""
    n_actions: ClassVar[int] = 1
    """A, the dimension of an action."""
    view: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 4.0)
    """View of a picture: x and y of its center and its width, m."""

    frame_skip: int = 1

    @abstractmethod
    def acceleration(self, qpos: Array, qvel: Array, ctrl: Array) -> Array:
        """Accelerations [N, Q] for positions and velocities [N, Q] and a constant action [N, A]."""

    def scene(self, qpos: np.ndarray) -> list[Stroke | Disc]:
        """The shapes of a picture of coordinates [Q], from back to front."""
        raise problem("a task with a scene, for render_mode='rgb_array'", type(self).__name__, "define its scene")

    def state_of(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inverse of `observe`: (qpos, qvel) [R, Q] of observations [R, O]."""
        expected = "a task whose states are known from its observations, for starts in demonstrated states"
        raise problem(expected, type(self).__name__, "define its state_of, the inverse of observe")

    def integrate(self, qpos: Array, qvel: Array, ctrl: Array) -> tuple[Array, Array]:
        """(qpos, qvel) [N, Q] after one control step: `physics_steps` steps of the classical Runge-Kutta method."""
        h = self.timestep_s
        for _ in range(self.physics_steps):
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
    """N environments of one classic task; every operation is vectorized over them."""

    backend = "numpy"

    def __init__(self, task: ClassicTask, n_envs: int, time_limit: int | None, reports: bool = False) -> None:
        super().__init__(task, n_envs, time_limit)
        self.reports = reports
        self.qpos0 = np.zeros(task.n_coordinates)
        self.action_low, self.action_high = np.full((2, task.n_actions), [[-1.0], [1.0]])
        self._before, self.now = self._empty_state(), self._empty_state()
        self.references: ReferenceStates | None = None

    def start_from(self, observations: np.ndarray, share: float) -> None:
        qpos, qvel = self.physics.state_of(np.asarray(observations, np.float64))
        self.references = ReferenceStates(qpos=qpos, qvel=qvel, share=share)

    @property
    def physics(self) -> ClassicTask:
        """The task, which also defines the physics."""
        assert isinstance(self.task, ClassicTask)
        return self.task

    def close(self) -> None:
        """Do nothing: no resources are held."""

    def _advance(self) -> None:
        before, now = self._before, self.now
        now.ctrl.clip(self.action_low, self.action_high, out=now.ctrl)
        now.qpos[:], now.qvel[:] = self.physics.integrate(before.qpos, before.qvel, now.ctrl)

    def _rearrange(self) -> None:
        """Do nothing: a classic task has no mocap bodies."""

    def _restart(self, which: np.ndarray) -> None:
        rest = np.zeros(self.physics.n_coordinates)
        for i in which:
            self.now.qpos[i], self.now.qvel[i] = self.task.initial(self.rngs[i], rest, rest)
            if self.references is not None:
                self.references.place(self.now.qpos[i], self.now.qvel[i], self.rngs[i])
            self.now.ctrl[i] = 0.0

    def _empty_state(self) -> State:
        sizes = {"qpos": self.physics.n_coordinates, "qvel": self.physics.n_coordinates, "ctrl": self.physics.n_actions}
        return State(**{name: np.zeros((self.n_envs, size)) for name, size in sizes.items()})


class ClassicEnv(gym.Env):
    """One environment of a classic task. Observations [O] are float64.

    Args:
        task: the definition.
        render_mode: "rgb_array" or None.
        width, height: size of a rendered image in pixels.

    Raises:
        InputError: another render mode.
    """

    def __init__(self, task: ClassicTask, render_mode: str | None = None, width: int = 480, height: int = 360) -> None:
        if render_mode not in (None, "rgb_array"):
            raise problem("render_mode rgb_array or None", repr(render_mode), 'use render_mode="rgb_array"')
        self.task, self.render_mode, self.size = task, render_mode, (width, height)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / task.control_step_s)}
        rest = np.zeros((1, task.n_coordinates))
        self.state = State(qpos=rest, qvel=rest, ctrl=np.zeros((1, task.n_actions)))
        self.action_space = gym.spaces.Box(-1.0, 1.0, (task.n_actions,), np.float32)
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, task.observe(self.state)[0].shape, np.float64)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        rest = np.zeros(self.task.n_coordinates)
        qpos, qvel = self.task.initial(self.np_random, rest, rest)
        self.state = State(qpos=qpos[None], qvel=qvel[None], ctrl=np.zeros((1, self.task.n_actions)))
        return self.task.observe(self.state)[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        before, given = self.state, np.asarray(action, dtype=np.float64)[None]
        ctrl = given.clip(-1.0, 1.0)
        qpos, qvel = self.task.integrate(before.qpos, before.qvel, ctrl)
        after = self.state = State(qpos=qpos, qvel=qvel, ctrl=ctrl)
        reward = float(self.task.held_reward(before, given, after)[0])
        return self.task.observe(after)[0], reward, bool(self.task.terminated(after)[0]), False, {}

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """An image [height, width, 3] uint8 of the current state; None without a render mode."""
        if self.render_mode is None:
            return None
        x, y, breadth = self.task.view
        return paint(self.task.scene(self.state.qpos[0]), (x, y), breadth, *self.size)
