"""Draws environments that are stepped in batches, one at a time, with Gymnasium's own environment."""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from rlgen.sim.classic import ClassicEnv
from rlgen.sim.device_env import NumpySim
from rlgen.sim.model import no_compiler_log
from rlgen.sim.simulator import Simulator


class Painter:
    """Draws states of an environment with `gymnasium.make(env_id, **env_kwargs)`, made at the first picture.

    Args:
        env_id: a Gymnasium id.
        env_kwargs: arguments of `gymnasium.make`, including `render_mode` and the size of the picture.
    """

    def __init__(self, env_id: str, env_kwargs: Mapping[str, Any]) -> None:
        self.env_id, self.env_kwargs = env_id, dict(env_kwargs)
        self._env: gym.Env | None = None

    @property
    def env(self) -> gym.Env:
        if self._env is None:
            with no_compiler_log():
                self._env = gym.make(self.env_id, **self.env_kwargs)
            self._env.reset()
        return self._env

    def picture(self, sim: Simulator | NumpySim, i: int) -> np.ndarray:
        """[height, width, 3] bytes of environment i of a simulator, in its current state."""
        inner: Any = self.env.unwrapped
        state = sim.now
        if isinstance(inner, ClassicEnv):
            inner.state = state.rows(slice(i, i + 1))
        else:
            inner.data.qpos[:], inner.data.qvel[:] = state.qpos[i], state.qvel[i]
            if hasattr(state, "mocap_pos"):
                inner.data.mocap_pos[:] = state.mocap_pos[i]
            mujoco.mj_forward(inner.model, inner.data)
        return inner.render()

    def close(self) -> None:
        if self._env is not None:
            self._env.close()
            self._env = None
