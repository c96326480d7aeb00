"""Hopper-v5 and Walker2d-v5: walkers in a plane, rewarded for speed and for staying upright, on batched state."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rlgen.sim.task import Array, State, Task, given, namespace, never_terminated, within


@dataclass(frozen=True, kw_only=True)
class PlanarWalker(Task):
    """A planar walker whose first coordinates are x, z and the pitch of the torso."""

    timestep_s: ClassVar[float] = 0.002
    fields: ClassVar[tuple[str, ...]] = ("qpos", "qvel")

    frame_skip: int = 4
    reset_noise_scale: float = 5e-3
    forward_reward_weight: float = 1.0
    ctrl_cost_weight: float = 1e-3
    healthy_reward: float = 1.0
    terminate_when_unhealthy: bool = True
    healthy_z_range: tuple[float, float]
    """Range of the height of a healthy torso, m, ends excluded."""
    healthy_angle_range: tuple[float, float]
    """Range of the pitch of a healthy torso, radians, ends excluded."""
    exclude_current_positions_from_observation: bool = True

    def observe(self, state: State) -> Array:
        position = state.qpos[:, 1:] if self.exclude_current_positions_from_observation else state.qpos
        return namespace(position).concatenate([position, state.qvel.clip(-10.0, 10.0)], axis=1)

    def reward(self, before: State, action: Array, after: State) -> Array:
        terms = self.terms(before, action, after)
        return terms["reward_forward"] + terms["reward_survive"] + terms["reward_ctrl"]

    def terms(self, before: State, action: Array, after: State) -> dict[str, Array]:
        """The reward's terms, [N] each, by Gymnasium's names."""
        forward = self.forward_reward_weight * self.x_velocity(before, after)
        return {
            "reward_forward": forward,
            "reward_ctrl": -self.ctrl_cost_weight * (action * action).sum(-1),
            "reward_survive": given(self.healthy(after), self.healthy_reward, forward),
        }

    def x_velocity(self, before: State, after: State) -> Array:
        return (after.qpos[:, 0] - before.qpos[:, 0]) / self.control_step_s

    def info(self, before: State, action: Array, after: State, qpos0: np.ndarray) -> dict[str, Array]:
        return {
            "x_position": after.qpos[:, 0],
            "z_distance_from_origin": after.qpos[:, 1] - float(qpos0[1]),
            "x_velocity": self.x_velocity(before, after),
            **self.terms(before, action, after),
        }

    def healthy(self, state: State) -> Array:
        high = within(state.qpos[:, 1], self.healthy_z_range)
        return high & within(state.qpos[:, 2], self.healthy_angle_range)

    def terminated(self, state: State) -> Array:
        return ~self.healthy(state) if self.terminate_when_unhealthy else never_terminated(state)


@dataclass(frozen=True, kw_only=True)
class Hopper(PlanarWalker):
    """Gymnasium's Hopper-v5 (gymnasium.envs.mujoco.hopper_v5); the fields are its keyword arguments."""

    xml: ClassVar[str] = "hopper.xml"

    healthy_z_range: tuple[float, float] = (0.7, float("inf"))
    healthy_angle_range: tuple[float, float] = (-0.2, 0.2)
    healthy_state_range: tuple[float, float] = (-100.0, 100.0)
    """Healthy range of every coordinate except x and z, and of every velocity, ends excluded."""

    def healthy(self, state: State) -> Array:
        sane = within(state.qpos[:, 2:], self.healthy_state_range).all(-1)
        calm = within(state.qvel, self.healthy_state_range).all(-1)
        return sane & calm & super().healthy(state)


@dataclass(frozen=True, kw_only=True)
class Walker2d(PlanarWalker):
    """Gymnasium's Walker2d-v5 (gymnasium.envs.mujoco.walker2d_v5); the fields are its keyword arguments."""

    xml: ClassVar[str] = "walker2d_v5.xml"

    healthy_z_range: tuple[float, float] = (0.8, 2.0)
    healthy_angle_range: tuple[float, float] = (-1.0, 1.0)
