"""Sparse mountain car: a car that is too weak to climb out of a valley without swinging back and forth."""

from dataclasses import dataclass
from math import pi
from typing import ClassVar

import numpy as np

from rlgen.sim.classic import BLUE, GREEN, GREY, INK, ClassicTask, Disc, Stroke
from rlgen.sim.task import Array, State, indicator, namespace


@dataclass(frozen=True, kw_only=True)
class SparseMountainCar(ClassicTask):
    """Reward 1, and the end of the episode, when the car reaches x = 0.6. Houthooft et al. 2016, 1605.09674.

    The track is y = -cos(π x / 2) as in rllab (Duan et al. 2016, 1604.06778), gravity 10 m/s². The car has 0.4 kg and
    pushes along the track with up to 1 N, a third of the force that would hold it at the goal's slope. Episodes start
    at the bottom with a speed of up to 1 m/s and have 500 steps of 0.05 s. Observation: x, its velocity. Action:
    force / 1 N.

    Differs from the paper:

    - A sliding point instead of Box2D's box (with the same coefficient of friction), because the box would require a
      physics engine and adds nothing to explore.
    - The left end (x = -2) ends the episode without a reward, because it is not the goal; the released code rewards it.
    """

    rewards_events: ClassVar[bool] = True
    timestep_s: ClassVar[float] = 0.025
    n_coordinates: ClassVar[int] = 1
    view: ClassVar[tuple[float, float, float]] = (0.0, 0.2, 4.2)
    gravity: ClassVar[float] = 10.0
    """Gravity of Box2D, m/s²."""
    mass: ClassVar[float] = 0.4
    """Mass of the car, kg."""
    largest_force: ClassVar[float] = 1.0
    """Maximum force along the track, N."""
    friction: ClassVar[float] = 0.01
    """Coefficient of friction of car and track, √(0.0005 · 0.2), times the normal force. It fades below 0.05 m/s."""

    frame_skip: int = 2
    reset_noise_scale: float = 1.0
    """Maximum initial speed, m/s."""
    goal_x: float = 0.6
    """x of the goal, m."""
    end_x: float = 2.0
    """Half the width of the track, m."""

    def acceleration(self, qpos: Array, qvel: Array, ctrl: Array) -> Array:
        """Acceleration [N, 1] of x, for a bead on the wire y(x): the arc length s obeys s'' = F / m - g dy/ds -
        friction."""
        numbers = namespace(qpos)
        slope = pi / 2 * numbers.sin(pi / 2 * qpos)
        bend = (pi / 2) ** 2 * numbers.cos(pi / 2 * qpos)
        stretch = 1 + slope * slope  # (ds/dx)²
        pressing = abs(self.gravity + bend * qvel * qvel)  # normal force per kg, times √stretch
        along = ctrl * (self.largest_force / self.mass) * numbers.sqrt(stretch)
        along = along - self.friction * pressing * numbers.tanh(qvel / 0.05)
        return (along - self.gravity * slope - slope * bend * qvel * qvel) / stretch

    def observe(self, state: State) -> Array:
        return namespace(state.qpos).concatenate([state.qpos, state.qvel], axis=1)

    def state_of(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return observations[:, :1], observations[:, 1:]

    def reward(self, before: State, action: Array, after: State) -> Array:
        x = after.qpos[:, 0]
        return indicator(x >= self.goal_x, x)

    def terminated(self, state: State) -> Array:
        x = state.qpos[:, 0]
        return (x >= self.goal_x) | (abs(x) >= self.end_x)

    def initial(self, rng: np.random.Generator, qpos0: np.ndarray, qvel0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return qpos0, qvel0 + rng.uniform(-self.reset_noise_scale, self.reset_noise_scale, size=1)

    def scene(self, qpos: np.ndarray) -> list[Stroke | Disc]:
        def track(x: float) -> tuple[float, float]:
            return x, -float(np.cos(pi * x / 2))

        along = [track(x) for x in np.linspace(-self.end_x, self.end_x, 81)]
        foot, car = track(self.goal_x), track(float(qpos[0]))
        flag = [
            Stroke([foot, (foot[0], foot[1] + 0.45)], 0.02, INK),
            Stroke([(foot[0] + 0.03, foot[1] + 0.4), (foot[0] + 0.17, foot[1] + 0.4)], 0.09, GREEN),
        ]
        return [Stroke(along, 0.03, GREY), *flag, Disc((car[0], car[1] + 0.09), 0.09, BLUE)]
