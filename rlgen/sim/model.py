"""A task's MuJoCo model, checked against what the task says of it."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import gymnasium
import mujoco

from rlgen.errors import problem
from rlgen.sim.task import MarginRule, Task


@contextmanager
def no_compiler_log() -> Iterator[None]:
    """Keeps MuJoCo's compiler from writing MUJOCO_LOG.TXT into the user's folder, and from warning of what is in it.

    Half-cheetah's XML uses an attribute that MuJoCo 4 deprecates and Gymnasium keeps: nothing that a user can act on.
    """
    before, silent = mujoco.MjLogConfig.get(), mujoco.MjLogConfig.get()
    silent.logto_file = silent.logto_console = False
    silent.set()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "compiler attribute", UserWarning)
            yield
    finally:
        before.set()


def load_model(task: Task, margin_rule: MarginRule = "native") -> mujoco.MjModel:
    """The model of `task.xml` among Gymnasium's assets and what the task adds, contacts combined by `margin_rule`.

    MuJoCo 4.0 sums the margins of two touching geoms where 3.6 and before took the larger. Both margins are equal in
    these models, so half of each restores the old rule.
    """
    assert margin_rule in get_args(MarginRule), margin_rule
    path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / task.xml
    with no_compiler_log():
        model = task.furnished(mujoco.MjSpec.from_file(str(path))).compile()
    if model.opt.timestep != task.timestep_s:
        raise problem(
            f"a physics step of {task.timestep_s} s in {task.xml}",
            f"{model.opt.timestep} s",
            "install the gymnasium version pinned in constraints.txt",
        )
    if margin_rule == "legacy":
        model.geom_margin *= 0.5
    return model
