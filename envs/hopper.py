"""Hopper-v5: a planar one-legged hopper, on batched state."""

from dataclasses import dataclass
from typing import ClassVar

from rlgen.sim.task import Array, State, within

from .planar_walker import PlanarWalker


@dataclass(frozen=True, kw_only=True)
class Hopper(PlanarWalker):
    """Gymnasium's Hopper-v5 (gymnasium.envs.mujoco.hopper_v5); the fields are its keyword arguments."""

    xml: ClassVar[str] = "hopper.xml"

    healthy_z_range: tuple[float, float] = (0.7, float("inf"))
    healthy_angle_range: tuple[float, float] = (-0.2, 0.2)
    healthy_state_range: tuple[float, float] = (-100.0, 100.0)
    """Of every position but x and z, and of every velocity; ends excluded."""

    def healthy(self, state: State) -> Array:
        sane = within(state.qpos[:, 2:], self.healthy_state_range).all(-1)
        calm = within(state.qvel, self.healthy_state_range).all(-1)
        return sane & calm & super().healthy(state)
