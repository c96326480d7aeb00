"""One door to vectorised environments, whatever steps them."""

import logging
from dataclasses import fields
from typing import Any, Literal, get_args

import gymnasium as gym

from rlgen.errors import problem
from rlgen.sb3.vec_env import ThreadedVecEnv
from rlgen.sim.task import MarginRule
from rlgen.sim.threads import ThreadedSim

from .registry import TASKS

Backend = Literal["auto", "threads", "gymnasium"]


def make_vec(
    env_id: str,
    n_envs: int,
    seed: int = 0,
    backend: Backend = "auto",
    n_threads: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    margin_rule: MarginRule = "native",
) -> ThreadedVecEnv:
    sim = ThreadedSim(
        TASKS[env_id](**env_kwargs or {}), n_envs, gym.spec(env_id).max_episode_steps, n_threads, margin_rule
    )
    return ThreadedVecEnv(env_id, sim, seed)
