"""Humanoid-v5: a biped, rewarded for walking forward and for standing, on batched state."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rlgen.sim.task import Array, State, Task, distance, flat, given, namespace, never_terminated, within


@dataclass(frozen=True, kw_only=True)
class Humanoid(Task):
    """Gymnasium's Humanoid-v5 (gymnasium.envs.mujoco.humanoid_v5); the fields are its keyword arguments."""

    xml: ClassVar[str] = "humanoid.xml"
    timestep_s: ClassVar[float] = 0.003
    fields: ClassVar[tuple[str, ...]] = (
        "qpos",
        "qvel",
        "ctrl",
        "subtree_com",
        "cinert",
        "cvel",
        "qfrc_actuator",
        "cfrc_ext",
    )
    info_fields: ClassVar[tuple[str, ...]] = ("ten_length", "ten_velocity")
    contacts: ClassVar[int] = 24
    constraints: ClassVar[int] = 64

    reset_noise_scale: float = 1e-2
    forward_reward_weight: float = 1.25
    ctrl_cost_weight: float = 0.1
    contact_cost_weight: float = 5e-7
    contact_cost_range: tuple[float, float] = (-np.inf, 10.0)
    healthy_reward: float = 5.0
    terminate_when_unhealthy: bool = True
    healthy_z_range: tuple[float, float] = (1.0, 2.0)
    """Range of the height of a healthy torso, m, ends excluded."""
    exclude_current_positions_from_observation: bool = True
    include_cinert_in_observation: bool = True
    include_cvel_in_observation: bool = True
    include_qfrc_actuator_in_observation: bool = True
    include_cfrc_ext_in_observation: bool = True

    def observe(self, state: State) -> Array:
        parts = [state.qpos[:, 2:] if self.exclude_current_positions_from_observation else state.qpos, state.qvel]
        if self.include_cinert_in_observation:
            parts.append(flat(state.cinert[:, 1:]))
        if self.include_cvel_in_observation:
            parts.append(flat(state.cvel[:, 1:]))
        if self.include_qfrc_actuator_in_observation:
            parts.append(state.qfrc_actuator[:, 6:])
        if self.include_cfrc_ext_in_observation:
            parts.append(flat(state.cfrc_ext[:, 1:]))
        return namespace(state.qpos).concatenate(parts, axis=1)

    def reward(self, before: State, action: Array, after: State) -> Array:
        terms = self.terms(before, action, after)
        gain = terms["reward_forward"] + terms["reward_survive"]
        return gain + (terms["reward_ctrl"] + terms["reward_contact"])

    def terms(self, before: State, action: Array, after: State) -> dict[str, Array]:
        """The reward's terms, [N] each, by Gymnasium's names."""
        forward = self.forward_reward_weight * self.velocity(before, after)[:, 0]
        forces = flat(after.cfrc_ext)
        return {
            "reward_survive": given(self.healthy(after), self.healthy_reward, forward),
            "reward_forward": forward,
            "reward_ctrl": -self.ctrl_cost_weight * (after.ctrl * after.ctrl).sum(-1),
            "reward_contact": -(self.contact_cost_weight * (forces * forces).sum(-1)).clip(*self.contact_cost_range),
        }

    def velocity(self, before: State, after: State) -> Array:
        """Velocity [N, 2] of the center of mass, m/s, from MuJoCo's row 0 of subtree_com, which equals Gymnasium's
        sum."""
        return (after.subtree_com[:, 0, :2] - before.subtree_com[:, 0, :2]) / self.control_step_s

    def info(self, before: State, action: Array, after: State, qpos0: np.ndarray) -> dict[str, Array]:
        velocity = self.velocity(before, after)
        return {
            "x_position": after.qpos[:, 0],
            "y_position": after.qpos[:, 1],
            "tendon_length": after.ten_length,
            "tendon_velocity": after.ten_velocity,
            "distance_from_origin": distance(after.qpos),
            "x_velocity": velocity[:, 0],
            "y_velocity": velocity[:, 1],
            **self.terms(before, action, after),
        }

    def healthy(self, state: State) -> Array:
        return within(state.qpos[:, 2], self.healthy_z_range)

    def terminated(self, state: State) -> Array:
        return ~self.healthy(state) if self.terminate_when_unhealthy else never_terminated(state)
