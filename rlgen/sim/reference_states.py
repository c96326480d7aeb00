"""Demonstrated states as initial states of episodes (reference state initialization, Peng et al. 2018, DeepMimic,
1804.02717, section 6.1)."""

from dataclasses import dataclass
from typing import Self

import mujoco
import numpy as np

from rlgen.checks import share
from rlgen.errors import problem
from rlgen.sim.task import State, Task

MOST_UNOBSERVED = 2
"""Leading positions that an observation may leave out: x, or x and y."""


@dataclass(frozen=True, kw_only=True)
class ReferenceStates:
    """Positions and velocities of demonstrated states, for a share of all episodes. What the observation leaves out, x
    and y, is as in the task's own initial states."""

    qpos: np.ndarray
    """[R, nq], or without the first positions."""
    qvel: np.ndarray
    """[R, nv]."""
    share: float
    """Share of the episodes that begin in one of these states."""

    def __post_init__(self) -> None:
        share(self, "share", remedy="use e.g. 0.5")

    @classmethod
    def of(cls, task: Task, model: mujoco.MjModel, observations: np.ndarray, share: float) -> Self:
        """The states in demonstrated observations [R, O] of the task. Raises `InputError` for a task whose observation
        does not begin with its positions and velocities."""
        unobserved = unobserved_positions(task, model)
        if unobserved is None:
            raise problem(
                "a MuJoCo task whose observation begins with positions and velocities (Ant, HalfCheetah, Hopper, "
                "Walker2d, Humanoid), to start in demonstrated states",
                type(task).__name__,
                "leave the option out",
            )
        positions = model.nq - unobserved
        rows = np.asarray(observations, np.float64)
        return cls(qpos=rows[:, :positions], qvel=rows[:, positions : positions + model.nv], share=share)

    def place(self, qpos: np.ndarray, qvel: np.ndarray, rng: np.random.Generator) -> None:
        """Overwrites `qpos` [nq] and `qvel` [nv] with a random one of the states, in this share of the calls."""
        if rng.random() < self.share:
            row = rng.integers(len(self.qpos))
            qpos[len(qpos) - self.qpos.shape[1] :] = self.qpos[row]
            qvel[:] = self.qvel[row]


def unobserved_positions(task: Task, model: mujoco.MjModel) -> int | None:
    """Number of leading positions that the task's observation leaves out, before all others and the velocities; None
    for an observation that does not begin so. Found from the observation of one state."""
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    data.qpos[:] = model.qpos0 + rng.uniform(0.01, 0.1, model.nq)
    data.qvel[:] = rng.uniform(0.01, 0.1, model.nv)
    mujoco.mj_forward(model, data)
    names = {*task.fields, "ctrl"}
    seen = task.observe(State(**{name: np.array(getattr(data, name))[None] for name in names}))[0]
    for unobserved in range(MOST_UNOBSERVED + 1):
        head = np.concatenate([data.qpos[unobserved:], data.qvel])
        if len(seen) >= len(head) and np.array_equal(seen[: len(head)], head):
            return unobserved
    return None
