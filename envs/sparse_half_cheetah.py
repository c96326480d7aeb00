"""Sparse HalfCheetah: paid only beyond x = 5 m."""

from dataclasses import dataclass

from rlgen.sim.task import Array, State

from .half_cheetah import HalfCheetah
from .sparse import paid_where


@dataclass(frozen=True, kw_only=True)
class SparseHalfCheetah(HalfCheetah):
    """Reward 1 per step while the torso is beyond x = 5 m, else 0. Houthooft et al. 2016, 1605.09674.

    500 steps of 0.01 s, as in rllab (Duan et al. 2016, 1604.06778): at Gymnasium's 0.05 s plain learners find the
    reward at once and nothing is left to explore. Position x is observed, as in rllab: the reward depends on it.

    Differs from the paper: Gymnasium's v5 body and observation (18 numbers), of which x is the torso's own and not that
    of the centre of mass. The terms of HalfCheetah-v5's reward have weight 0 here; a weight adds them.
    """

    frame_skip: int = 1
    forward_reward_weight: float = 0.0
    ctrl_cost_weight: float = 0.0
    exclude_current_positions_from_observation: bool = False
    goal_x: float = 5.0
    """m."""

    def reward(self, before: State, action: Array, after: State) -> Array:
        x = after.qpos[:, 0]
        return super().reward(before, action, after) + paid_where(x > self.goal_x, x)
