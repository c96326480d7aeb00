"""A task's MuJoCo model: checked against the task, one margin rule on every version, and how its episodes begin."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import gymnasium
import mujoco
import numpy as np

from rlgen.errors import problem
from rlgen.sim.task import MarginRule, Task

SUMMED_SINCE = (3, 5)
"""The first MuJoCo that sums the margins of two geoms; those before it take the larger."""


def own_rule(version: str = mujoco.__version__) -> MarginRule:
    """The rule of MuJoCo `version`: "native" since 3.5, "legacy" before."""
    major, minor = version.split(".")[:2]
    return "native" if (int(major), int(minor)) >= SUMMED_SINCE else "legacy"


def combine_margins(model: mujoco.MjModel, rule: MarginRule) -> None:
    """Changes the margins of a model as its file gives them, so that contacts combine by `rule` in this MuJoCo.

    Where every geom that touches has the same margin m, the sum is 2 m and the larger one m: half of each margin turns
    the first into the second, twice each the second into the first.

    Raises:
        InputError: the rule is not this MuJoCo's own, and the margins differ.
    """
    if rule == own_rule():
        return
    touching = (model.geom_contype | model.geom_conaffinity) != 0
    margins = np.unique(model.geom_margin[touching])
    if len(margins) > 1:
        raise problem(
            f"one contact margin for all geoms, so that MuJoCo {mujoco.__version__} can follow margin_rule={rule!r}",
            f"margins of {', '.join(f'{margin:g}' for margin in margins)} m",
            f"choose margin_rule={own_rule()!r}, the rule of this MuJoCo, or give all geoms one margin",
        )
    model.geom_margin *= 0.5 if rule == "legacy" else 2.0


log = logging.getLogger("rlgen")

WRONG_WHERE_SPARSE = "4.0.0"
"""The MuJoCo whose solver is wrong where a model's constraint Jacobian is sparse; 4.0.1 mends it."""


@contextmanager
def no_compiler_log() -> Iterator[None]:
    """Keeps MuJoCo's compiler from writing MUJOCO_LOG.TXT into the user's folder, and from warning of what is in it.

    Half-cheetah's XML uses an attribute that later MuJoCos deprecate and Gymnasium keeps: nothing that a user can act
    on. Before MuJoCo had this log it had no such warning.
    """
    if not hasattr(mujoco, "MjLogConfig"):
        yield
        return
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
    """The model of `task.xml` among Gymnasium's assets and what the task adds, contacts combined by `margin_rule`."""
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
    combine_margins(model, margin_rule)
    warn_of_solver(model, task.xml)
    return model


def warn_of_solver(model: mujoco.MjModel, name: str) -> None:
    """Says in the log where this MuJoCo solves this model wrongly.

    A Jacobian is sparse where the model's file asks for it, or leaves it to MuJoCo and has 60 degrees of freedom or
    more. Gymnasium's models have 23 at most.
    """
    if mujoco.__version__ == WRONG_WHERE_SPARSE and mujoco.mj_isSparse(model):
        log.warning(
            "%s has a sparse constraint Jacobian (%d degrees of freedom), which the solver of MuJoCo %s gets wrong: "
            'pip install "mujoco-core>=4.0.1", or set jacobian="dense" in the model',
            *(name, model.nv, mujoco.__version__),
        )


def begin(task: Task, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    """Puts `data` at the start of an episode that `rng` chooses."""
    mujoco.mj_resetData(model, data)
    data.qpos[:], data.qvel[:] = task.initial(rng, model.qpos0, np.zeros(model.nv))
    if model.nmocap:
        data.mocap_pos[:] = task.placed(rng)
    mujoco.mj_forward(model, data)
