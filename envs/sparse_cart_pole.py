"""Sparse cart-pole swing-up: a hanging pole, to be raised upright by moving its cart."""

from dataclasses import dataclass
from math import pi
from typing import ClassVar

import numpy as np

from rlgen.sim.classic import BLUE, GREY, INK, LIGHT, ORANGE, ClassicTask, Disc, Stroke
from rlgen.sim.task import Array, State, indicator, namespace


@dataclass(frozen=True, kw_only=True)
class SparseCartPoleSwingup(ClassicTask):
    """Reward 1 per step while the cosine of the pole's angle is above 0.8. Houthooft et al. 2016, 1605.09674.

    A cart of 1 kg with a rod of 1 m and 0.1 kg hinged to it, gravity 10 m/s², force up to 10 N, 500 steps of 0.05 s;
    leaving |x| ≤ 3 m ends the episode (all from rllab, Duan et al. 2016, 1604.06778). The pole starts within 1 rad of
    hanging, rotating at up to 3 rad/s, the cart within 1 m of the middle at up to 2 m/s. The action is force / 10 N.
    Observation: x, sin, cos, velocity of x, angular velocity; the angle is 0 upright and increases towards +x.

    Differs from the paper:

    - The angle is observed as its sine and cosine, because rllab's angle is not periodic: it counts full rotations.
    - The rod is thin and has no friction; Box2D's is 0.1 m wide and has almost none.
    """

    timestep_s: ClassVar[float] = 0.025
    n_coordinates: ClassVar[int] = 2
    view: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 6.6)
    gravity: ClassVar[float] = 10.0
    """Gravity of Box2D, m/s²."""
    cart_mass: ClassVar[float] = 1.0
    """Mass of the cart, kg."""
    pole_mass: ClassVar[float] = 0.1
    """Mass of the pole, kg."""
    pole_length: ClassVar[float] = 1.0
    """Length of the pole, m."""
    largest_force: ClassVar[float] = 10.0
    """Maximum force on the cart, N."""

    frame_skip: int = 2
    reset_noise_scale: float = 1.0
    """Scale of the initial noise; 1 is that of the paper."""
    paid_cosine: float = 0.8
    """Cosine of the pole's angle above which steps are rewarded."""
    end_x: float = 3.0
    """Largest |x|; leaving it ends the episode, m."""

    def acceleration(self, qpos: Array, qvel: Array, ctrl: Array) -> Array:
        """Accelerations [N, 2] of x and angle. Barto, Sutton & Anderson 1983, without friction, corrected by Florian
        2007."""
        numbers = namespace(qpos)
        sine, cosine, turning = numbers.sin(qpos[:, 1]), numbers.cos(qpos[:, 1]), qvel[:, 1]
        total, half = self.cart_mass + self.pole_mass, self.pole_length / 2
        thrust = (ctrl[:, 0] * self.largest_force + self.pole_mass * half * turning * turning * sine) / total
        angular = (self.gravity * sine - cosine * thrust) / (half * (4 / 3 - self.pole_mass * cosine * cosine / total))
        linear = thrust - self.pole_mass * half * angular * cosine / total
        return numbers.stack([linear, angular], -1)

    def observe(self, state: State) -> Array:
        numbers = namespace(state.qpos)
        x, angle = state.qpos[:, :1], state.qpos[:, 1:]
        return numbers.concatenate([x, numbers.sin(angle), numbers.cos(angle), state.qvel], axis=1)

    def state_of(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, sine, cosine = observations[:, :3].T
        return np.stack([x, np.arctan2(sine, cosine)], -1), observations[:, 3:]

    def reward(self, before: State, action: Array, after: State) -> Array:
        cosine = namespace(after.qpos).cos(after.qpos[:, 1])
        return indicator((cosine > self.paid_cosine) & ~self.terminated(after), cosine)

    def terminated(self, state: State) -> Array:
        return abs(state.qpos[:, 0]) > self.end_x

    def initial(self, rng: np.random.Generator, qpos0: np.ndarray, qvel0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x, angle, velocity, turning = rng.uniform(-1, 1, size=4) * (1.0, 1.0, 2.0, 3.0) * self.reset_noise_scale
        return qpos0 + np.array([x, pi + angle]), qvel0 + np.array([velocity, turning])

    def scene(self, qpos: np.ndarray) -> list[Stroke | Disc]:
        x, angle = (float(number) for number in qpos)
        tip = (x + self.pole_length * float(np.sin(angle)), self.pole_length * float(np.cos(angle)))
        rewarded = [(x, self.paid_cosine * self.pole_length), (x, self.pole_length)]
        return [
            Stroke(rewarded, 0.5, LIGHT),
            Stroke([(-self.end_x, 0.0), (self.end_x, 0.0)], 0.04, GREY),
            Stroke([(x - 0.25, 0.0), (x + 0.25, 0.0)], 0.3, INK),
            Stroke([(x, 0.0), tip], 0.1, ORANGE),
            Disc((x, 0.0), 0.06, BLUE),
        ]
