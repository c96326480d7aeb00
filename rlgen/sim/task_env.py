"""One of our MuJoCo tasks as a Gymnasium environment: the reference for the threaded simulator."""

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv

from rlgen.sim.model import load_model, own_rule
from rlgen.sim.task import State, Task


class TaskEnv(MujocoEnv):
    """A task as a Gymnasium environment. Observations [O] are float64.

    `MujocoEnv` steps the physics and renders; the task defines observation, reward and termination.

    Args:
        task: the definition.
        render: further arguments of `MujocoEnv`: `render_mode`, `width`, `height`, `camera_id`, …
    """

    def __init__(self, task: Task, **render: Any) -> None:
        self.task = task
        self._names = {*task.fields, *task.info_fields, "ctrl"}
        camera = dict(task.camera) or None
        super().__init__(task.xml, task.physics_steps, None, **{"default_camera_config": camera, **render})
        modes = ["human", "rgb_array", "depth_array", "rgbd_tuple"]
        self.metadata = {"render_modes": modes, "render_fps": round(1 / self.dt)}
        size = task.observe(self._state()).shape[1]
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (size,), np.float64)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:  # type: ignore[override]
        before = self._state()
        self.do_simulation(action, self.frame_skip)
        after = self._state()
        reward = float(self.task.held_reward(before, np.asarray(action)[None], after)[0])
        infos = self.task.info(before, np.asarray(action)[None], after, self.model.qpos0)
        if self.model.nmocap:
            self.data.mocap_pos[:] = self.task.update_mocap(after)[0]
            after = self._state()
        if self.render_mode == "human":
            self.render()
        info = {name: array[0] for name, array in infos.items()}
        return self.task.observe(after)[0], reward, bool(self.task.terminated(after)[0]), False, info

    def reset_model(self) -> np.ndarray:
        qpos, qvel = self.task.initial(self.np_random, self.init_qpos, self.init_qvel)
        if self.model.nmocap:
            self.data.mocap_pos[:] = self.task.sample_mocap(self.np_random)
        self.set_state(qpos, qvel)
        return self.task.observe(self._state())[0]

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model = load_model(self.task, own_rule())  # as in every environment of gymnasium.make
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, self.width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, self.height)
        return model, mujoco.MjData(model)

    def _state(self) -> State:
        """The current state as a batch of one."""
        return State(**{name: np.array(getattr(self.data, name))[None] for name in self._names})
