"""Swimmer-v5: a planar chain of three links in a viscous fluid, on batched state."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rlgen.sim.task import Array, State, Task, distance, namespace, nowhere


@dataclass(frozen=True, kw_only=True)
class Swimmer(Task):
    """Gymnasium's Swimmer-v5 (gymnasium.envs.mujoco.swimmer_v5); the fields are its keyword arguments."""

    xml: ClassVar[str] = "swimmer.xml"
    timestep_s: ClassVar[float] = 0.01
    fields: ClassVar[tuple[str, ...]] = ("qpos", "qvel")

    frame_skip: int = 4
    forward_reward_weight: float = 1.0
    ctrl_cost_weight: float = 1e-4
    exclude_current_positions_from_observation: bool = True

    def observe(self, state: State) -> Array:
        position = state.qpos[:, 2:] if self.exclude_current_positions_from_observation else state.qpos
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

    def terminated(self, state: State) -> Array:
        return nowhere(state)
