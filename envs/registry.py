"""Which task definition belongs to which Gymnasium id."""

from rlgen.sim.task import Task

from .ant import Ant
from .half_cheetah import HalfCheetah
from .humanoid import Humanoid

TASKS: dict[str, type[Task]] = {
    "Ant-v5": Ant,
    "HalfCheetah-v5": HalfCheetah,
    "Humanoid-v5": Humanoid,
}
"""Gymnasium id → task class; the time limit stays in Gymnasium's own registry."""
