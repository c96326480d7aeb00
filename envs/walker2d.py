"""Walker2d-v5: a planar biped, on batched state."""

from dataclasses import dataclass
from typing import ClassVar

from .planar_walker import PlanarWalker


@dataclass(frozen=True, kw_only=True)
class Walker2d(PlanarWalker):
    """Gymnasium's Walker2d-v5 (gymnasium.envs.mujoco.walker2d_v5); the fields are its keyword arguments."""

    xml: ClassVar[str] = "walker2d_v5.xml"

    healthy_z_range: tuple[float, float] = (0.8, 2.0)
    healthy_angle_range: tuple[float, float] = (-1.0, 1.0)
