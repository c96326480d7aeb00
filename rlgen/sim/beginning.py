"""How an episode begins on C MuJoCo, as Gymnasium's MujocoEnv.reset has it."""

import mujoco
import numpy as np

from rlgen.sim.task import Task


def begin(task: Task, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    """Puts `data` at the start of an episode that `rng` chooses."""
    mujoco.mj_resetData(model, data)
    data.qpos[:], data.qvel[:] = task.initial(rng, model.qpos0, np.zeros(model.nv))
    if model.nmocap:
        data.mocap_pos[:] = task.placed(rng)
    mujoco.mj_forward(model, data)
