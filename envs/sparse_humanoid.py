"""Sparse Humanoid: paid only beyond x = 5 m."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rlgen.sim.task import Array, State

from .humanoid import Humanoid
from .sparse import paid_where


@dataclass(frozen=True, kw_only=True)
class SparseHumanoid(Humanoid):
    """Reward 1 per step while the torso is beyond x = 5 m, else 0: the rule of Houthooft et al. 2016 for HalfCheetah.

    500 steps of Humanoid-v5's 0.015 s; a fall ends the episode. Where random actions fall after some twenty steps, five
    metres are far enough at this time scale. Positions x and y are observed, because the reward depends on x.

    Differs from the paper: it has no sparse Humanoid. The terms of Humanoid-v5's reward have weight 0 here; a weight
    adds them.
    """

    camera: ClassVar[Mapping[str, Any]] = {
        "trackbodyid": 1, "distance": 4.0, "lookat": (0.0, 0.0, 2.0), "elevation": -20.0,
    }  # fmt: skip

    forward_reward_weight: float = 0.0
    ctrl_cost_weight: float = 0.0
    contact_cost_weight: float = 0.0
    healthy_reward: float = 0.0
    exclude_current_positions_from_observation: bool = False
    goal_x: float = 5.0
    """m."""

    def reward(self, before: State, action: Array, after: State) -> Array:
        x = after.qpos[:, 0]
        return super().reward(before, action, after) + paid_where(x > self.goal_x, x)
