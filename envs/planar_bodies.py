"""HalfCheetah-v5 and Swimmer-v5, runners that never fall, and Hopper-v5 and Walker2d-v5, walkers that must stay
upright: bodies that move in a plane, rewarded for speed, on batched state."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rlgen.sim.task import Array, State, Task, distance, given, namespace, never_terminated, within


@dataclass(frozen=True, kw_only=True)
class Runner(Task):
    """A body that is rewarded for its velocity along x minus a control cost. Only the time limit ends an episode."""

    unobserved_positions: ClassVar[int]
    """Number of leading coordinates that are excluded from the observation: the position of the body."""
    timestep_s: ClassVar[float] = 0.01
    fields: ClassVar[tuple[str, ...]] = ("qpos", "qvel")

    forward_reward_weight: float = 1.0
    ctrl_cost_weight: float
    exclude_current_positions_from_observation: bool = True

    def observe(self, state: State) -> Array:
        excluded = self.unobserved_positions if self.exclude_current_positions_from_observation else 0
        position = state.qpos[:, excluded:]
        return namespace(position).concatenate([position, state.qvel], axis=1)

    def reward(self, before: State, action: Array, after: State) -> Array:
        terms = self.terms(before, action, after)
        return terms["reward_forward"] + terms["reward_ctrl"]

    def terms(self, before: State, action: Array, after: State) -> dict[str, Array]:
        """The reward's terms, [N] each, by Gymnasium's names."""
        x_velocity = (after.qpos[:, 0] - before.qpos[:, 0]) / self.control_step_s
        return {
            "reward_forward": self.forward_reward_weight * x_velocity,
            "reward_ctrl": -self.ctrl_cost_weight * (action * action).sum(-1),
        }

    def terminated(self, state: State) -> Array:
        return never_terminated(state)


@dataclass(frozen=True, kw_only=True)
class HalfCheetah(Runner):
    """Gymnasium's HalfCheetah-v5 (gymnasium.envs.mujoco.half_cheetah_v5); the fields are its keyword arguments."""

    xml: ClassVar[str] = "half_cheetah.xml"
    unobserved_positions: ClassVar[int] = 1

    ctrl_cost_weight: float = 0.1

    def info(self, before: State, action: Array, after: State, qpos0: np.ndarray) -> dict[str, Array]:
        velocity = (after.qpos[:, 0] - before.qpos[:, 0]) / self.control_step_s
        return {"x_position": after.qpos[:, 0], "x_velocity": velocity, **self.terms(before, action, after)}

    def initial(self, rng: np.random.Generator, qpos0: np.ndarray, qvel0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = self.reset_noise_scale
        qpos = qpos0 + rng.uniform(-scale, scale, size=len(qpos0))
        return qpos, qvel0 + scale * rng.standard_normal(len(qvel0))


@dataclass(frozen=True, kw_only=True)
class Swimmer(Runner):
    """Gymnasium's Swimmer-v5 (gymnasium.envs.mujoco.swimmer_v5), a chain of three links in a viscous fluid; the fields
    are its keyword arguments."""

    xml: ClassVar[str] = "swimmer.xml"
    unobserved_positions: ClassVar[int] = 2

    frame_skip: int = 4
    ctrl_cost_weight: float = 1e-4

    def info(self, before: State, action: Array, after: State, qpos0: np.ndarray) -> dict[str, Array]:
        velocity = (after.qpos[:, :2] - before.qpos[:, :2]) / self.control_step_s
        return {
            "x_position": after.qpos[:, 0],
            "y_position": after.qpos[:, 1],
            "distance_from_origin": distance(after.qpos),
            "x_velocity": velocity[:, 0],
            "y_velocity": velocity[:, 1],
            **self.terms(before, action, after),
        }


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
