"""Tasks by Gymnasium id: their classes, the state dimensions shown in their maps, and construction from keyword
arguments with checks of their types."""

from collections.abc import Mapping
from dataclasses import fields
from math import pi
from numbers import Integral, Real
from typing import Any, TypeVar

from rlgen.data.visits import Axis
from rlgen.errors import problem
from rlgen.sim.classic import ClassicTask
from rlgen.sim.task import Task

from .ant import Ant
from .disabled_ant import DisabledAnt
from .humanoid import Humanoid
from .planar_bodies import HalfCheetah, Hopper, Swimmer, Walker2d
from .sparse_cart_pole import SparseCartPoleSwingup
from .sparse_double_pendulum import SparseDoublePendulum
from .sparse_locomotion import SparseAnt, SparseHalfCheetah, SparseHumanoid
from .sparse_mountain_car import SparseMountainCar
from .swimmer_gather import SwimmerGather

TASKS: dict[str, type[Task]] = {
    "Ant-v5": Ant,
    "HalfCheetah-v5": HalfCheetah,
    "Hopper-v5": Hopper,
    "Humanoid-v5": Humanoid,
    "Swimmer-v5": Swimmer,
    "Walker2d-v5": Walker2d,
    "rlgen/DisabledAnt-v0": DisabledAnt,
    "rlgen/SparseAnt-v0": SparseAnt,
    "rlgen/SparseHalfCheetah-v0": SparseHalfCheetah,
    "rlgen/SparseHumanoid-v0": SparseHumanoid,
    "rlgen/SwimmerGather-v0": SwimmerGather,
}
"""Gymnasium id → class of a MuJoCo task, stepped by threads. Time limits are in Gymnasium's registry."""

CLASSIC_TASKS: dict[str, type[ClassicTask]] = {
    "rlgen/SparseCartPoleSwingup-v0": SparseCartPoleSwingup,
    "rlgen/SparseDoublePendulum-v0": SparseDoublePendulum,
    "rlgen/SparseMountainCar-v0": SparseMountainCar,
}
"""Gymnasium id → class of a task with its own equations of motion, stepped by NumPy."""


_FORWARD = Axis(name="x [m]", columns=(0,), width=0.1)
_SIDEWAYS = Axis(name="y [m]", columns=(1,), width=0.1)

STATE_AXES: dict[str, tuple[Axis, ...]] = {
    "rlgen/SparseMountainCar-v0": (
        Axis(name="x [m]", columns=(0,), width=0.05, low=-2.0, high=0.6),
        Axis(name="velocity [m/s]", columns=(1,), width=0.2, low=-4.0, high=4.0),
    ),
    "rlgen/SparseCartPoleSwingup-v0": (
        Axis(name="x [m]", columns=(0,), width=0.1, low=-3.0, high=3.0),
        Axis(name="angle from upright [rad]", columns=(1, 2), width=pi / 30, low=-pi, high=pi),
    ),
    "rlgen/SparseDoublePendulum-v0": (
        Axis(name="first rod from hanging [rad]", columns=(0, 1), width=pi / 25, low=-pi, high=pi),
        Axis(name="second rod from hanging [rad]", columns=(3, 4), width=pi / 25, low=-pi, high=pi),
    ),
    "rlgen/SparseHalfCheetah-v0": (_FORWARD, Axis(name="velocity [m/s]", columns=(9,), width=0.2)),
    "rlgen/SparseAnt-v0": (_FORWARD, _SIDEWAYS),
    "rlgen/SparseHumanoid-v0": (_FORWARD, _SIDEWAYS),
    "rlgen/SwimmerGather-v0": (_FORWARD, _SIDEWAYS),
}
"""Gymnasium id → axes. For other tasks `rlgen.data.visits.axes_within` uses the first two observation components."""


_HEIGHT = Axis(name="height [m]", columns=(2,), width=0.25)
ARCHIVE_AXES: dict[str, tuple[Axis, ...]] = {
    "rlgen/SparseAnt-v0": (
        Axis(name="x [m]", columns=(0,), width=0.25),
        Axis(name="y [m]", columns=(1,), width=0.5),
        _HEIGHT,
    ),
    "rlgen/SparseHumanoid-v0": (
        Axis(name="x [m]", columns=(0,), width=0.1),
        Axis(name="y [m]", columns=(1,), width=0.25),
        Axis(name="height [m]", columns=(2,), width=0.1),
    ),
}
"""Gymnasium id → axes of the cells of `rlgen explore`, where they are not those of the maps."""

OBSERVED: dict[str, tuple[int, ...]] = {
    "Ant-v5": tuple(range(27)),
    "Humanoid-v5": tuple(range(45)),
    "rlgen/DisabledAnt-v0": tuple(range(27)),
    "rlgen/SparseAnt-v0": tuple(range(29)),
    "rlgen/SparseHumanoid-v0": tuple(range(47)),
}
"""Gymnasium id → numbers of the observation that a curiosity observes by default: positions and velocities, without
contact forces (both) and without inertias and velocities of the bodies and forces of the motors (Humanoid), which other
numbers determine or which only accidents change. For other tasks all (experiments/vime says why)."""


Kind = TypeVar("Kind")


def make_task(kind: type[Kind], kwargs: Mapping[str, Any]) -> Kind:
    """`kind(**kwargs)`. Raises `InputError` for the first argument that does not have the type of its default."""
    defaults = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    for name, value in kwargs.items():
        if not _is_like(value, defaults[name]):
            expected = f"{name} of {kind.__name__} as {_kind_of(defaults[name])}"
            raise problem(expected, repr(value), f"its default is {defaults[name]!r}")
    return kind(**kwargs)


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, Integral) and not isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, Real) and not isinstance(value, bool)
    if isinstance(default, tuple):
        listed = isinstance(value, tuple | list) and len(value) == len(default)
        return listed and all(_is_like(*pair) for pair in zip(value, default, strict=True))
    return isinstance(value, type(default))


def _kind_of(default: Any) -> str:
    if isinstance(default, tuple):
        return f"a list of {len(default)}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(type(default), type(default).__name__)
