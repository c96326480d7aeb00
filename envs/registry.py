"""Task definitions by Gymnasium id."""

from rlgen.sim.classic import ClassicTask
from rlgen.sim.task import Task

from .ant import Ant
from .humanoid import Humanoid
from .planar_walkers import Hopper, Walker2d
from .runners import HalfCheetah, Swimmer
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
