"""Stable-Baselines3's vector environment over one of rlgen's simulators."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvStepReturn

from rlgen.errors import problem
from rlgen.sb3.plain_pickle import plain
from rlgen.sim.classic import ClassicEnv
from rlgen.sim.device_env import NumpySim
from rlgen.sim.model import no_compiler_log
from rlgen.sim.simulator import Simulator, Step
from rlgen.sim.task import MarginRule


def check_origin(state: dict[str, Any], env_id: str, backend: str) -> None:
    """Raises `InputError` for the state of another environment or backend."""
    if (state["env_id"], state["backend"]) != (env_id, backend):
        raise problem(
            f"a state of {env_id} on the {backend} backend",
            f"one of {state['env_id']} on the {state['backend']} backend",
            "make the environment as it was made when the state was saved",
        )


class ResumableVecEnv(VecEnv):
    """An SB3 VecEnv that names its backend and, if it `can_resume`, continues where it stopped."""

    env_id: str
    """Gymnasium id."""
    backend: str
    """Name of the backend: threads, numpy, warp or gymnasium."""
    margin_rule: MarginRule
    """How contact margins combine, see `rlgen.sim.task.MarginRule`."""
    env_kwargs: Mapping[str, Any]
    """What the environment's constructor takes."""
    can_resume: bool
    """Whether the states of its episodes can be saved."""

    def current_observations(self) -> np.ndarray:
        """[N, O]: current observations, which a resumed learner sees first."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue bit for bit; only if it `can_resume`."""
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        raise NotImplementedError


class SimVecEnv(ResumableVecEnv):
    """An SB3 VecEnv that resets itself, records episodes as SB3's Monitor does and can be resumed bit for bit.

    Observations [N, O] and rewards [N] are float32. The info of an environment is empty, except in the step that ends
    its episode: `terminal_observation` [O] float32, `TimeLimit.truncated` (only the time limit ended it)
    and `episode` with "r" the return, "l" the length in steps and "t" the seconds since this object was made. If the
    simulator `reports`, every step also has Gymnasium's infos. With `render_mode="rgb_array"` in `env_kwargs` it
    draws pictures.
    """

    can_resume = True

    def __init__(
        self, env_id: str, sim: Simulator | NumpySim, seed: int, env_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        self.env_id, self.sim, self.env_kwargs = env_id, sim, dict(env_kwargs or {})
        self.backend, self.margin_rule = sim.backend, sim.margin_rule
        self._began_s = time.time()
        self._actions = np.zeros((sim.n_envs, len(sim.action_low)))
        low, high = sim.action_low.astype(np.float32), sim.action_high.astype(np.float32)
        observed = sim.observe().shape[1]
        drawn = self.env_kwargs.get("render_mode") == "rgb_array"
        self._painter = Painter(env_id, self.env_kwargs) if drawn else None
        super().__init__(
            sim.n_envs,
            gym.spaces.Box(-np.inf, np.inf, (observed,), np.float32),
            gym.spaces.Box(low, high, dtype=np.float32),
        )
        if drawn:
            fps = round(1 / float(sim.task.control_step_s))
            self.metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": fps}
        self.seed(seed)

    def reset(self) -> np.ndarray:
        """Starts new episodes everywhere. Environment i uses `seed + i` the first time, later its own next seeds."""
        observations = self.sim.reset(self._seeds)
        self._reset_seeds()
        self._reset_options()
        return observations.astype(np.float32)

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = np.asarray(actions)
        if self._actions.shape != (self.num_envs, *self.action_space.shape):  # type: ignore[misc]
            raise problem(
                f"actions of shape {(self.num_envs, len(self.sim.action_low))} for {self.env_id}",
                f"shape {self._actions.shape}",
                "give one row per environment",
            )

    def step_wait(self) -> VecEnvStepReturn:
        step = self.sim.step(self._actions)
        infos = self._reported(step)
        for row, i in enumerate(step.finished):
            infos[i] |= {
                "terminal_observation": step.final_observations[row].astype(np.float32),
                "TimeLimit.truncated": bool(step.truncated[i] and not step.terminated[i]),
                "episode": {
                    "r": float(step.episode_returns[row]),
                    "l": int(step.episode_lengths[row]),
                    "t": round(time.time() - self._began_s, 6),
                },
            }
        return (
            step.observations.astype(np.float32),
            step.rewards.astype(np.float32),
            step.terminated | step.truncated,
            infos,
        )

    def _reported(self, step: Step) -> list[dict[str, Any]]:
        """Gymnasium's infos of a step, or empty ones."""
        if not self.sim.reports:
            return [{} for _ in range(self.num_envs)]
        late = step.truncated & ~step.terminated
        infos = {**step.infos, "TimeLimit.truncated": late.tolist()}
        return [{name: array[i] for name, array in infos.items()} for i in range(self.num_envs)]

    def start_from(self, observations: np.ndarray, share: float) -> None:
        """From the next reset on, start this share of the episodes in the states of demonstrated observations [R, O]
        (`rlgen.sim.reference_states`). It is no part of the saved state: call it again before loading one.

        Raises `InputError` for a task whose observations do not determine its states: one that MuJoCo steps whose
        observation does not begin with its positions and velocities."""
        size = self.observation_space.shape[0]  # type: ignore[index]
        if np.ndim(observations) != 2 or observations.shape[1] != size:
            got = f"shape {np.shape(observations)}"
            raise problem(f"observations [R, {size}] of {self.env_id}", got, "give observations of this task")
        self.sim.start_from(observations, share)

    def current_observations(self) -> np.ndarray:
        """[N, O] float32: current observations, which a resumed learner sees first."""
        return self.sim.observe().astype(np.float32)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue the environments bit for bit: a nested dict of arrays and JSON values."""
        return {
            "env_id": self.env_id,
            "backend": self.backend,
            "sim": plain(self.sim.state_dict()),
            "next_seeds": list(self._seeds),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict()` of an environment that was made with the same arguments (except `n_threads`)."""
        check_origin(state, self.env_id, self.backend)
        self.sim.load_state_dict(state["sim"])
        self._seeds = list(state["next_seeds"])

    def save_rows(self, which: np.ndarray) -> dict[str, np.ndarray]:
        """Copies of the states of the environments `which` [K], [K, ...] each by name, from which any environment of
        the same task continues bit for bit."""
        return self.sim.save_rows(which)

    def load_rows(self, which: np.ndarray, rows: Mapping[str, np.ndarray]) -> None:
        """Puts the environments `which` [K] into states of `save_rows`."""
        self.sim.load_rows(which, rows)

    def close(self) -> None:
        self.sim.close()
        if self._painter is not None:
            self._painter.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """A setting of the task, or an attribute of this object, once per environment: they share both."""
        if attr_name == "render_mode":
            value = "rgb_array" if self._painter is not None else None
        else:
            value = getattr(self.sim.task if attr_name in vars(self.sim.task) else self, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Changes a setting of the task, such as a reward's weight, from the next step on, in all environments.

        Raises:
            InputError: the task has no such setting or its type differs, only some environments would change, the
                observation would change its size, or the task is on a device.
        """
        if not isinstance(self.sim, Simulator):
            raise problem("fixed settings of environments on a device", attr_name, "pass it in env_kwargs to make_vec")
        if set(self._get_indices(indices)) != set(range(self.num_envs)):
            remedy = 'leave indices out, or use make_vec(..., backend="gymnasium")'
            raise problem("a change of all environments, which share one task", f"indices={indices}", remedy)
        self.sim.change_task(attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Gymnasium's `get_wrapper_attr`, `set_wrapper_attr` and `render`."""
        if method_name == "get_wrapper_attr":
            return self.get_attr(*method_args, **{**method_kwargs, "indices": indices})
        if method_name == "set_wrapper_attr":
            self.set_attr(*method_args, **{**method_kwargs, "indices": indices})
            return [True for _ in self._get_indices(indices)]
        if method_name == "render":
            images = self.get_images()
            return [images[i] for i in self._get_indices(indices)]
        known = f"get_wrapper_attr, set_wrapper_attr or render of an environment on {self.backend}"
        raise problem(known, method_name, 'use make_vec(..., backend="gymnasium")')

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """True for SB3's Monitor, whose `episode` infos this environment provides itself."""
        return [issubclass(wrapper_class, Monitor) for _ in self._get_indices(indices)]

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture [height, width, 3] of each environment if it draws, else None."""
        if self._painter is None:
            return [None] * self.num_envs
        return [self._painter.picture(self.sim, i) for i in range(self.num_envs)]


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
