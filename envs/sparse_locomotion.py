"""Sparse Ant, HalfCheetah and Humanoid: rewarded only beyond x = 5 m."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rlgen.sim.task import Array, State, indicator

from .ant import Ant
from .humanoid import Humanoid
from .runners import HalfCheetah


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """Mixin of a task: adds a reward of 1 per step while the torso is beyond x = `goal_x`.

    No `Task` itself: the defaults of its fields would stand in the place of those of the task that it is mixed with.
    """

    goal_x: float = 5.0
    """m."""

    def reward(self, before: State, action: Array, after: State) -> Array:
        x = after.qpos[:, 0]
        return super().reward(before, action, after) + indicator(x > self.goal_x, x)  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True)
class SparseAnt(Beyond, Ant):
    """Reward 1 per step while the torso is beyond x = 5 m, else 0: the rule of Houthooft et al. 2016 for HalfCheetah.

    500 steps of 0.01 s, the time scale of that task; a fall ends the episode, as in Ant-v5. Positions x and y are
    observed, because the reward depends on x.

    Differs from the paper: it has no sparse Ant. The terms of Ant-v5's reward have weight 0 here; a weight adds them.
    """

    camera: ClassVar[Mapping[str, Any]] = {"distance": 4.0}

    frame_skip: int = 1
    forward_reward_weight: float = 0.0
    ctrl_cost_weight: float = 0.0
    contact_cost_weight: float = 0.0
    healthy_reward: float = 0.0
    exclude_current_positions_from_observation: bool = False


@dataclass(frozen=True, kw_only=True)
class SparseHalfCheetah(Beyond, HalfCheetah):
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


@dataclass(frozen=True, kw_only=True)
class SparseHumanoid(Beyond, Humanoid):
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
