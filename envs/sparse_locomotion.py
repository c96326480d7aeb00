"""Sparse Ant, HalfCheetah and Humanoid: rewarded only beyond x = 5 m."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from rlgen.checks import at_least
from rlgen.sim.task import Array, State, indicator, namespace

from .ant import Ant
from .humanoid import Humanoid
from .planar_bodies import HalfCheetah


@dataclass(frozen=True, kw_only=True)
class Beyond:
    """Mixin for a task: adds a reward of 1 per step while the torso is beyond x = `goal_x`.

    It is not a `Task`, because the defaults of a task's fields would override those of the task it is combined with.
    """

    goal_x: float = 5.0
    """x beyond which steps are rewarded, m."""

    def reward(self, before: State, action: Array, after: State) -> Array:
        x = after.qpos[:, 0]
        return super().reward(before, action, after) + indicator(x > self.goal_x, x)  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True)
class SparseAnt(Beyond, Ant):
    """Reward 1 per step while the torso is beyond x = 5 m, else 0: the rule of Houthooft et al. 2016 for HalfCheetah.

    500 steps of 0.01 s, the time scale of that task; a torso below 0.2 m or above 1 m ends the episode, as in Ant-v5.
    An Ant on its back is within these heights and lies there to the end, unless `end_on_back` ends the episode.
    Positions x and y are observed, because the reward depends on x.

    Differs from the paper: it has no sparse Ant. The terms of Ant-v5's reward have weight 0 by default.
    """

    camera: ClassVar[Mapping[str, Any]] = {"distance": 4.0}

    frame_skip: int = 1
    forward_reward_weight: float = 0.0
    ctrl_cost_weight: float = 0.0
    contact_cost_weight: float = 0.0
    healthy_reward: float = 0.0
    exclude_current_positions_from_observation: bool = False
    end_on_back: bool = False
    """Whether an episode ends when the torso is upside down."""

    def terminated(self, state: State) -> Array:
        ended = super().terminated(state)
        if not self.end_on_back:
            return ended
        return ended | (state.qpos[:, 4] ** 2 + state.qpos[:, 5] ** 2 > 0.5)  # the z axis of the torso points down


@dataclass(frozen=True, kw_only=True)
class SparseHalfCheetah(Beyond, HalfCheetah):
    """Reward 1 per step while the torso is beyond x = 5 m, else 0. Houthooft et al. 2016, 1605.09674.

    500 steps of 0.01 s, as in rllab (Duan et al. 2016, 1604.06778): at Gymnasium's 0.05 s learners without a curiosity
    find the reward at once, and the task needs no exploration. Position x is observed, as in rllab, because the reward
    depends on it.

    Differs from the paper: Gymnasium's v5 body and observation (dimension 18), in which x is that of the torso instead
    of the center of mass. The terms of HalfCheetah-v5's reward have weight 0 by default.

    `noise_numbers` appends as many numbers of pure noise to the observation, of mean 0 and variance 1: the noisy
    television of Burda et al. 2019 (1808.04355), which rewards errors of prediction forever and holds no information.
    """

    frame_skip: int = 1
    forward_reward_weight: float = 0.0
    ctrl_cost_weight: float = 0.0
    exclude_current_positions_from_observation: bool = False
    noise_numbers: int = 0
    """Number of observed numbers that are pure noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "noise_numbers", remedy="give 0 for none")

    def observe(self, state: State) -> Array:
        observed = super().observe(state)
        if not self.noise_numbers:
            return observed
        return namespace(observed).concatenate([observed, noise_of(state.qvel, self.noise_numbers)], axis=1)


def noise_of(qvel: Array, size: int) -> Array:
    """Uniform numbers [N, size] of mean 0 and variance 1, the same for the same velocities [N, nv] and unpredictable
    from all others: the digits of a large multiple of the velocities. So the state of the simulator stays complete."""
    numbers = namespace(qvel)
    factors = np.random.default_rng(0).uniform(5e3, 2e4, (size, qvel.shape[1]))  # each number mixes them differently
    mixed = [sum(factor * qvel[:, index] for index, factor in enumerate(row)) for row in factors.tolist()]
    phases = numbers.stack(mixed, 1)
    return (phases - numbers.floor(phases) - 0.5) * 12**0.5


@dataclass(frozen=True, kw_only=True)
class SparseHumanoid(Beyond, Humanoid):
    """Reward 1 per step while the torso is beyond x = 5 m, else 0: the rule of Houthooft et al. 2016 for HalfCheetah.

    500 steps of Humanoid-v5's 0.015 s; a fall ends the episode. Random actions fall after about twenty steps, so five
    metres are a distant goal at this time scale. Positions x and y are observed, because the reward depends on x.

    Differs from the paper: it has no sparse Humanoid. The terms of Humanoid-v5's reward have weight 0 by default.
    """

    camera: ClassVar[Mapping[str, Any]] = {
        "trackbodyid": 1, "distance": 4.0, "lookat": (0.0, 0.0, 2.0), "elevation": -20.0,
    }  # fmt: skip

    forward_reward_weight: float = 0.0
    ctrl_cost_weight: float = 0.0
    contact_cost_weight: float = 0.0
    healthy_reward: float = 0.0
    exclude_current_positions_from_observation: bool = False
