"""The reference backend: any registered environment, stepped one after the other in SB3's DummyVecEnv."""

from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.wrappers import OrderEnforcing, TimeLimit, TransformObservation
from gymnasium.wrappers.common import PassiveEnvChecker
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from rlgen.data.spaces import require_counted_from_zero
from rlgen.errors import problem
from rlgen.sb3.instructed import with_numbers
from rlgen.sb3.plain_pickle import plain
from rlgen.sb3.vec_env import ResumableVecEnv, check_origin
from rlgen.sim.classic import ClassicEnv
from rlgen.sim.model import combine_margins, no_compiler_log, warn_of_solver
from rlgen.sim.task import MarginRule, State
from rlgen.sim.task_env import TaskEnv

_INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION
_DERIVED: tuple[str, ...] = (
    *("xpos", "xquat", "xmat", "xipos", "ximat", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat"),
    *("subtree_com", "cinert", "cvel", "cfrc_ext", "qfrc_actuator", "actuator_force", "ten_length", "ten_velocity"),
    "sensordata",
)
"""Quantities that MuJoCo derives from the state and that an environment may read before its next step."""

_KNOWN_WRAPPERS = (Monitor, TransformObservation, TimeLimit, OrderEnforcing, PassiveEnvChecker)


class GymnasiumVecEnv(DummyVecEnv, ResumableVecEnv):
    """Gymnasium's own environments under SB3's Monitor; float64 observations become float32.

    Gymnasium's MuJoCo environments and rlgen's own can be resumed bit for bit; the state of others cannot be read from
    outside.
    """

    backend = "gymnasium"

    def __init__(
        self, env_id: str, n_envs: int, seed: int, env_kwargs: dict[str, Any], margin_rule: MarginRule = "native"
    ) -> None:
        self.env_id, self.margin_rule, self.env_kwargs = env_id, margin_rule, env_kwargs
        with no_compiler_log():
            super().__init__([lambda: _make(env_id, env_kwargs, margin_rule)] * n_envs)
        self.seed(seed)

    @property
    def can_resume(self) -> bool:  # type: ignore[override]
        """Whether `state_dict` works."""
        return all(_is_readable(env) for env in self.envs)

    def current_observations(self) -> Any:
        """Current observations, which a resumed learner sees first."""
        return self._obs_from_buf()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue the environments bit for bit: a nested dict of arrays and JSON values."""
        self._require_readable()
        return {
            "env_id": self.env_id,
            "backend": self.backend,
            "margin_rule": self.margin_rule,
            "next_seeds": list(self._seeds),
            "observations": plain(self.current_observations()),
            "envs": plain([_capture(env) for env in self.envs]),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Loads a `state_dict()` of an environment that was made with the same arguments."""
        self._require_readable()
        check_origin(state, self.env_id, self.backend)
        if (len(state["envs"]), state["margin_rule"]) != (self.num_envs, self.margin_rule):
            raise problem(
                f"{self.num_envs} environments, margin rule {self.margin_rule}",
                f"a state of {len(state['envs'])}, margin rule {state['margin_rule']}",
                "make the environment as it was made when the state was saved",
            )
        for i, (env, saved) in enumerate(zip(self.envs, state["envs"], strict=True)):
            _restore(env, saved)
            self._save_obs(i, np.asarray(state["observations"])[i])
        self._seeds = list(state["next_seeds"])

    def _require_readable(self) -> None:
        if not self.can_resume:
            raise problem(
                "an environment whose state can be saved (a MuJoCo task of Gymnasium, or one of rlgen, unwrapped)",
                self.env_id,
                "resume the learner without its environment: it then starts with new episodes",
            )


def _make(env_id: str, env_kwargs: dict[str, Any], margin_rule: MarginRule) -> gym.Env:
    env = with_numbers(gym.make(env_id, **env_kwargs))
    if isinstance(env.unwrapped, MujocoEnv):
        combine_margins(env.unwrapped.model, margin_rule)
        warn_of_solver(env.unwrapped.model, env_id)
    elif margin_rule != "native":
        raise problem(f"a MuJoCo environment for margin_rule={margin_rule!r}", env_id, "leave margin_rule at 'native'")
    space = env.observation_space
    _require_no_text(space, env_id)
    require_counted_from_zero(space, env.action_space, env_id)
    if isinstance(space, gym.spaces.Box) and space.dtype == np.float64:
        single = gym.spaces.Box(space.low.astype(np.float32), space.high.astype(np.float32), dtype=np.float32)
        env = TransformObservation(env, lambda observation: observation.astype(np.float32), single)
    return Monitor(env)


def _require_no_text(space: gym.Space, env_id: str) -> None:
    """Raises `InputError` for entries of a dictionary without a shape: texts, for which SB3 has no networks."""
    if not isinstance(space, gym.spaces.Dict):
        return
    texts = [name for name, inner in space.spaces.items() if inner.shape is None and not hasattr(inner, "spaces")]
    if texts:
        kept = [name for name in space.spaces if name not in texts]
        raise problem(
            f"observations of {env_id} that are numbers",
            f"texts under {', '.join(map(repr, texts))}",
            f"register the task without them: gymnasium.wrappers.FilterObservation(env, {kept})",
        )


def _wrappers(env: gym.Env) -> dict[type, Any]:
    """Every wrapper around an environment, by its type."""
    found: dict[type, Any] = {}
    while isinstance(env, gym.Wrapper):
        found[type(env)] = env
        env = env.env
    return found


def _is_readable(env: gym.Env) -> bool:
    inner = env.unwrapped
    theirs = isinstance(inner, MujocoEnv) and type(inner).__module__.startswith("gymnasium.envs.mujoco.")
    return (theirs or isinstance(inner, TaskEnv | ClassicEnv)) and set(_wrappers(env)) <= set(_KNOWN_WRAPPERS)


def _derived(data: mujoco.MjData) -> dict[str, np.ndarray]:
    """Views of the derived arrays that this model has (without sites, no site_xpos)."""
    arrays = {name: getattr(data, name) for name in _DERIVED}
    return {name: array for name, array in arrays.items() if array.size}


def _capture(env: gym.Env) -> dict[str, Any]:
    wrappers = _wrappers(env)
    return {
        **_physics(env.unwrapped),
        "generator": env.unwrapped.np_random.bit_generator.state,
        "elapsed": wrappers[TimeLimit]._elapsed_steps if TimeLimit in wrappers else None,
        "rewards": [float(reward) for reward in wrappers[Monitor].rewards],
    }


def _physics(inner: Any) -> dict[str, Any]:
    if isinstance(inner, ClassicEnv):
        return {"state": {name: array.copy() for name, array in vars(inner.state).items()}}
    physics = np.empty(mujoco.mj_stateSize(inner.model, _INTEGRATION))
    mujoco.mj_getState(inner.model, inner.data, physics, _INTEGRATION)
    return {"physics": physics, "derived": {name: array.copy() for name, array in _derived(inner.data).items()}}


def _restore(env: gym.Env, saved: dict[str, Any]) -> None:
    env.reset()  # so that every wrapper sees a running episode; its random draws are overwritten below
    inner: Any = env.unwrapped
    wrappers = _wrappers(env)
    if isinstance(inner, ClassicEnv):
        inner.state = State(**{name: np.asarray(array).astype(np.float64) for name, array in saved["state"].items()})
    else:
        mujoco.mj_setState(inner.model, inner.data, np.asarray(saved["physics"]), _INTEGRATION)
        for name, array in _derived(inner.data).items():
            array[:] = np.asarray(saved["derived"][name])
    inner.np_random.bit_generator.state = saved["generator"]
    if TimeLimit in wrappers:
        wrappers[TimeLimit]._elapsed_steps = saved["elapsed"]
    wrappers[Monitor].rewards = list(saved["rewards"])
