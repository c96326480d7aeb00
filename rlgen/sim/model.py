"""A task's MuJoCo model, checked against what the task says of it."""

from pathlib import Path
from typing import get_args

import gymnasium
import mujoco

from rlgen.errors import problem
from rlgen.sim.task import MarginRule, Task


def load_model(task: Task, margin_rule: MarginRule = "native") -> mujoco.MjModel:
    """The model of `task.xml` among Gymnasium's assets, with contacts combined by `margin_rule`.

    MuJoCo 4.0 sums the margins of two touching geoms where 3.6 and before took the larger. Both margins are equal in
    these models, so half of each restores the old rule.
    """
    if margin_rule not in get_args(MarginRule):
        raise problem(f"margin_rule {' or '.join(get_args(MarginRule))}", repr(margin_rule), "choose one of them")
    path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / task.xml
    model = mujoco.MjModel.from_xml_path(str(path))
    if model.opt.timestep != task.timestep_s:
        raise problem(
            f"a physics step of {task.timestep_s} s in {task.xml}",
            f"{model.opt.timestep} s",
            "install the gymnasium version pinned in constraints.txt",
        )
    if margin_rule == "legacy":
        model.geom_margin *= 0.5
    return model
