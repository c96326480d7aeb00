"""The state dimensions of each task that are shown in maps of visited states."""

from math import pi

from rlgen.data.visits import Axis

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
