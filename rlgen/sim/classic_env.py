"""One of our classic tasks as a Gymnasium environment."""

from typing import Any

import gymnasium as gym
import numpy as np

from rlgen.errors import problem
from rlgen.sim.classic import ClassicTask
from rlgen.sim.scene import paint
from rlgen.sim.task import State


class ClassicEnv(gym.Env):
    """One environment of a classic task. Observations [O] are float64.

    Args:
        task: the definition.
        render_mode: "rgb_array" for pictures, or None.
        width, height: size of a picture in pixels.

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
        reward = float(self.task.reward(before, given, after)[0])
        return self.task.observe(after)[0], reward, bool(self.task.terminated(after)[0]), False, {}

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """[height, width, 3] bytes of the present state, or None without a render mode."""
        if self.render_mode is None:
            return None
        x, y, breadth = self.task.view
        return paint(self.task.scene(self.state.qpos[0]), (x, y), breadth, *self.size)
