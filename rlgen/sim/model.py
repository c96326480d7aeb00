"""A task's MuJoCo model: loading and checks, one margin rule on every version, and the start of an episode."""

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
from rlgen.sim.reference_states import ReferenceStates
from rlgen.sim.task import MarginRule, Task
from rlgen.system.versions import WRONG_WHERE_SPARSE

SUMMED_SINCE = (3, 5)
"""The first MuJoCo version that adds the margins of two geoms; earlier versions use the larger one."""


def own_rule(version: str = mujoco.__version__) -> MarginRule:
    """The rule of MuJoCo `version`: "native" since 3.5, "legacy" before."""
    major, minor = version.split(".")[:2]
    return "native" if (int(major), int(minor)) >= SUMMED_SINCE else "legacy"


def combine_margins(model: mujoco.MjModel, rule: MarginRule) -> None:
    """Scale the margins of a freshly loaded model, so that contacts combine by `rule` in this MuJoCo version.

    If all colliding geoms have the same margin m, the sum of two is 2 m and the larger is m. Halving every margin
    therefore converts the first rule to the second; doubling converts the second to the first.

    Raises:
        InputError: the rule is not that of this MuJoCo version, and the margins differ.
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


@contextmanager
def no_compiler_log() -> Iterator[None]:
    """Context in which MuJoCo's compiler does not write MUJOCO_LOG.TXT into the working folder or warn about it.

    Half-cheetah's XML in Gymnasium uses an attribute that newer MuJoCo versions deprecate; a user cannot change that.
    MuJoCo versions without this log have no such warning.
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
    """The model of `task.xml` from Gymnasium's assets with the task's additions; contacts combine by `margin_rule`.

    Raises `InputError` for an unexpected physics step, or where `combine_margins` does.
    """
    assert margin_rule in get_args(MarginRule), margin_rule
    path = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets" / task.xml
    with no_compiler_log():
        model = task.edit_spec(mujoco.MjSpec.from_file(str(path))).compile()
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
    """Log a warning if the solver of this MuJoCo version is wrong for this model.

    The Jacobian is sparse if the model's file sets it so, or if the file leaves the choice to MuJoCo and the model has
    60 degrees of freedom or more. Gymnasium's models have 23 at most.
    """
    if mujoco.__version__ == WRONG_WHERE_SPARSE and mujoco.mj_isSparse(model):
        log.warning(
            "%s has a sparse constraint Jacobian (%d degrees of freedom), which the solver of MuJoCo %s gets wrong: "
            'pip install "mujoco-core>=4.0.1", or set jacobian="dense" in the model',
            *(name, model.nv, mujoco.__version__),
        )


def begin(
    task: Task,
    model: mujoco.MjModel,
    data: mujoco.MjData,
    rng: np.random.Generator,
    references: ReferenceStates | None = None,
) -> None:
    """Set `data` to the initial state of an episode, drawn from `rng`: the task's own or, if given, one of the
    `references`."""
    mujoco.mj_resetData(model, data)
    data.qpos[:], data.qvel[:] = task.initial(rng, model.qpos0, np.zeros(model.nv))
    if references is not None:
        references.place(data.qpos, data.qvel, rng)
    if model.nmocap:
        data.mocap_pos[:] = task.sample_mocap(rng)
    mujoco.mj_forward(model, data)
