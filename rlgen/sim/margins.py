"""How the contact margins of two geoms combine: one meaning on every version of MuJoCo."""

import mujoco
import numpy as np

from rlgen.errors import problem
from rlgen.sim.task import MarginRule

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
