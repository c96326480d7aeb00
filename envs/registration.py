"""Registration of rlgen's ids with Gymnasium: `gymnasium.make` accepts them after `import rlgen.envs`."""

from typing import Any

import gymnasium as gym

MAX_EPISODE_STEPS = {
    "rlgen/SparseAnt-v0": 500,
    "rlgen/SparseCartPoleSwingup-v0": 500,
    "rlgen/SparseDoublePendulum-v0": 500,
    "rlgen/SparseHalfCheetah-v0": 500,
    "rlgen/SparseHumanoid-v0": 500,
    "rlgen/SparseMountainCar-v0": 500,
    "rlgen/SwimmerGather-v0": 500,
}
"""Id → time limit."""


def register() -> None:
    """Add rlgen's ids to Gymnasium's registry, unless they are registered already."""
    for env_id, steps in MAX_EPISODE_STEPS.items():
        if env_id not in gym.registry:
            gym.register(
                env_id, "rlgen.envs.registration:make_single", max_episode_steps=steps, kwargs={"env_id": env_id}
            )


def make_single(env_id: str, **kwargs: Any) -> gym.Env:
    """One environment of an rlgen task. `kwargs`: fields of the task, and rendering arguments of `MujocoEnv`."""
    from dataclasses import fields

    from rlgen.sim.classic import ClassicEnv
    from rlgen.sim.task_env import TaskEnv

    from .registry import CLASSIC_TASKS, TASKS

    kind = CLASSIC_TASKS.get(env_id) or TASKS[env_id]
    names = {field.name for field in fields(kind)}
    settings = {name: value for name, value in kwargs.items() if name in names}
    others = {name: value for name, value in kwargs.items() if name not in names}
    if env_id in CLASSIC_TASKS:
        return ClassicEnv(CLASSIC_TASKS[env_id](**settings), **others)
    return TaskEnv(TASKS[env_id](**settings), **others)
