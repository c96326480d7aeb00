"""Which task definition belongs to which Gymnasium id."""

from rlgen.sim.task import Task

from .ant import Ant
from .half_cheetah import HalfCheetah
from .hopper import Hopper
from .humanoid import Humanoid
from .swimmer import Swimmer
from .walker2d import Walker2d

TASKS: dict[str, type[Task]] = {
    "Ant-v5": Ant,
    "HalfCheetah-v5": HalfCheetah,
    "Hopper-v5": Hopper,
    "Humanoid-v5": Humanoid,
    "Swimmer-v5": Swimmer,
    "Walker2d-v5": Walker2d,
}
"""Gymnasium id → task class. The time limit stays in Gymnasium's own registry."""
