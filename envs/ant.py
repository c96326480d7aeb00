"""Ant-v5: a quadruped, rewarded for walking forward, on batched state."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rlgen.sim.task import Array, State, Task, distance, flat, given, namespace, never_terminated


@dataclass(frozen=True, kw_only=True)
class Ant(Task):
    """Gymnasium's Ant-v5 (gymnasium.envs.mujoco.ant_v5); the fields are its keyword arguments."""

    xml: ClassVar[str] = "ant.xml"
    timestep_s: ClassVar[float] = 0.01
    fields: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "xpos", "cfrc_ext")

    forward_reward_weight: float = 1.0
    ctrl_cost_weight: float = 0.5
    contact_cost_weight: float = 5e-4
    healthy_reward: float = 1.0
    main_body: int = 1
    """Index of the body whose velocity is rewarded."""
    terminate_when_unhealthy: bool = True
    healthy_z_range: tuple[float, float] = (0.2, 1.0)
    """Range of the height of a healthy torso, m, ends included."""
    contact_force_range: tuple[float, float] = (-1.0, 1.0)
    exclude_current_positions_from_observation: bool = True
    include_cfrc_ext_in_observation: bool = True

    def observe(self, state: State) -> Array:
        position = state.qpos[:, 2:] if self.exclude_current_positions_from_observation else state.qpos
        parts = [position, state.qvel]
        if self.include_cfrc_ext_in_observation:
            parts.append(flat(state.cfrc_ext[:, 1:]).clip(*self.contact_force_range))
        return namespace(position).concatenate(parts, axis=1)

    def reward(self, before: State, action: Array, after: State) -> Array:
        terms = self.terms(before, action, after)
        gain = terms["reward_forward"] + terms["reward_survive"]
        return gain + (terms["reward_ctrl"] + terms["reward_contact"])

    def terms(self, before: State, action: Array, after: State) -> dict[str, Array]:
        """The reward's terms, [N] each, by Gymnasium's names."""
        forward = self.velocity(before, after)[:, 0] * self.forward_reward_weight
        forces = flat(after.cfrc_ext).clip(*self.contact_force_range)
        return {
            "reward_forward": forward,
            "reward_ctrl": -self.ctrl_cost_weight * (action * action).sum(-1),
            "reward_contact": -self.contact_cost_weight * (forces * forces).sum(-1),
            "reward_survive": given(self.healthy(after), self.healthy_reward, forward),
        }

    def velocity(self, before: State, after: State) -> Array:
        """Velocity [N, 2] of `main_body` in x and y, m/s."""
        return (after.xpos[:, self.main_body, :2] - before.xpos[:, self.main_body, :2]) / self.control_step_s

    def info(self, before: State, action: Array, after: State, qpos0: np.ndarray) -> dict[str, Array]:
        velocity = self.velocity(before, after)
        return {
            "x_position": after.qpos[:, 0],
            "y_position": after.qpos[:, 1],
            "distance_from_origin": distance(after.qpos),
            "x_velocity": velocity[:, 0],
            "y_velocity": velocity[:, 1],
            **self.terms(before, action, after),
        }

    def healthy(self, state: State) -> Array:
        xp = namespace(state.qpos)
        finite = xp.isfinite(state.qpos).all(-1) & xp.isfinite(state.qvel).all(-1)
        low, high = self.healthy_z_range
        return finite & (low <= state.qpos[:, 2]) & (state.qpos[:, 2] <= high)

    def terminated(self, state: State) -> Array:
        return ~self.healthy(state) if self.terminate_when_unhealthy else never_terminated(state)

    def initial(self, rng: np.random.Generator, qpos0: np.ndarray, qvel0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = self.reset_noise_scale
        qpos = qpos0 + rng.uniform(-scale, scale, size=len(qpos0))
        return qpos, qvel0 + scale * rng.standard_normal(len(qvel0))
