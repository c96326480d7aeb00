"""A VecEnv whose rewards are replaced while its steps arrive, for any learner."""

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from rlgen.data import observations as tree
from rlgen.data.playing import is_normalizing
from rlgen.data.spaces import kinds_of, rows_of
from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.rewards.learned_reward import LearnedReward
from rlgen.sb3.steps import last_observation
from rlgen.sb3.vec_env import ResumableVecEnv


class ReplacedRewards(VecEnvWrapper, ResumableVecEnv):
    """Replaces the rewards of a VecEnv. The infos do not change: an episode's return in them remains the task's own.
    Resumed like the environment below it.

    Raises `InputError` for a VecNormalize, which must be outside.
    """

    what = "a replaced reward"
    """Name in error messages."""

    def __init__(self, venv: VecEnv):
        if is_normalizing(venv):
            raise problem("raw observations", "a VecNormalize below", "put the VecNormalize outside")
        super().__init__(venv)
        self.kinds = kinds_of(venv.observation_space)
        self.before: Any = None
        """Observations [N, ...] before the current step; None before the first reset."""
        self.actions = np.zeros((venv.num_envs, 1), np.float32)

    @abstractmethod
    def rewards(self, batch: Transitions[Any]) -> np.ndarray:
        """Rewards [N] of a step of all environments."""

    def begin(self) -> None:
        """Called when all environments start new episodes."""

    def reset(self) -> Any:
        observations: Any = self.venv.reset()
        self.before = tree.each_entry(np.array, observations)
        self.begin()
        return observations

    def step_async(self, actions: np.ndarray) -> None:
        self.actions = np.array(actions, np.float32).reshape(self.num_envs, -1)
        self.venv.step_async(actions)

    def step_wait(self) -> VecEnvStepReturn:
        observations, _, dones, infos = self.venv.step_wait()
        following = tree.each_entry(np.array, observations)
        limited = np.array([bool(info.get("TimeLimit.truncated", False)) for info in infos])
        for env in np.flatnonzero(dones):
            last = tree.entries(last_observation(infos[env], tree.take(self.before, env), [self.what]))
            for name, rows in tree.entries(following).items():
                rows[env] = last[name]
        seen = (rows_of(each, self.kinds) for each in (self.before, following))
        before, after = (tree.each_entry(torch.as_tensor, each) for each in seen)
        rest = (torch.as_tensor(each) for each in (self.actions, dones & ~limited, dones & limited))
        actions, terminated, truncated = rest
        rewards = self.rewards(Transitions(before, actions, after, terminated, truncated))
        self.before = tree.each_entry(np.array, observations)
        return observations, rewards.astype(np.float32), dones, infos

    def current_observations(self) -> Any:
        """Current observations, which a resumed learner sees first."""
        return self.venv.current_observations()  # type: ignore[attr-defined]

    def state_dict(self) -> dict[str, Any]:
        """State of the environment, which must have one, and of the rewards."""
        return {"inner": self.venv.state_dict(), **self.own_state()}  # type: ignore[attr-defined]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.venv.load_state_dict(state["inner"])  # type: ignore[attr-defined]
        self.before = tree.each_entry(np.array, self.current_observations())
        self.load_own_state(state)

    def own_state(self) -> dict[str, Any]:
        """What the rewards depend on in addition to the current step: nothing."""
        return {}

    def load_own_state(self, state: dict[str, Any]) -> None:
        """The inverse of `own_state`; `state` has a further entry."""


class LearnedRewards(ReplacedRewards):
    """Rewards g(s[, a]) of a learned reward, on the CPU. Raises `InputError` for observations that are no vectors, and
    for other sizes than its own."""

    what = "a learned reward"

    def __init__(self, venv: VecEnv, learned: LearnedReward):
        super().__init__(venv)
        observed, space = venv.observation_space, venv.action_space
        if not isinstance(observed, spaces.Box) or len(observed.shape) != 1:
            got = f"{observed}"
            raise problem(f"flat observations (Box of one dimension) for {self.what}", got, "wrap the environment")
        n_actions = int(space.n) if isinstance(space, spaces.Discrete) else None
        where = getattr(venv, "env_id", "the environment")
        learned.require_fits(observed.shape[0], int(np.prod(space.shape or ())), n_actions, where)
        self.learned = learned.cpu()

    def rewards(self, batch: Transitions) -> np.ndarray:
        return self.learned.reward(batch).numpy()
