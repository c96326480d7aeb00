"""Sparse double pendulum: two hanging links, to be raised upright with a motor at the elbow only."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rlgen.sim.classic import BLUE, INK, LIGHT, ORANGE, ClassicTask, Disc, Stroke
from rlgen.sim.task import Array, State, indicator, namespace, never_terminated


@dataclass(frozen=True, kw_only=True)
class SparseDoublePendulum(ClassicTask):
    """Reward 1 per step while the tip is within 1 m of its upright position. Houthooft et al. 2016, 1605.09674.

    Two rods of 1 m and 0.5 kg, the first hinged to a fixed point, a motor of up to 50 N m between them, gravity
    10 m/s², 500 steps of 0.02 s (rllab, Duan et al. 2016, 1604.06778). Both rods start hanging, with normal noise of
    0.1 rad and 0.01 rad/s. Observation: sine, cosine and angular velocity of each rod against the vertical, first rod
    first; 0 is hanging. The action is torque / 50 N m.

    Differs from the paper:

    - The position of the tip is correct; the released code mirrors the second rod when it computes it.
    - The hinges have friction, because with exact integration nothing else dissipates the energy of so strong a motor.
      Without friction white noise receives a reward in every episode.
    """

    timestep_s: ClassVar[float] = 0.005
    n_coordinates: ClassVar[int] = 2
    view: ClassVar[tuple[float, float, float]] = (0.0, 0.4, 7.2)
    gravity: ClassVar[float] = 10.0
    """Gravity of Box2D, m/s²."""
    link_mass: ClassVar[float] = 0.5
    """Mass of a rod, kg."""
    link_length: ClassVar[float] = 1.0
    """Length of a rod, m."""
    largest_torque: ClassVar[float] = 50.0
    """Maximum torque of the motor, N m."""
    friction: ClassVar[float] = 0.7
    """Friction of each hinge, N m per rad/s."""

    frame_skip: int = 4
    reset_noise_scale: float = 0.1
    """Standard deviation of the initial angles, rad; a tenth of it, in rad/s, is that of the initial velocities."""
    paid_distance: float = 1.0
    """Distance of the tip from its upright position within which steps are rewarded, m."""

    def acceleration(self, qpos: Array, qvel: Array, ctrl: Array) -> Array:
        """Accelerations [N, 2] of the angles: Lagrange's equations of two uniform rods, M(q) q'' = torques."""
        numbers = namespace(qpos)
        length, half = self.link_length, self.link_mass * self.link_length**2 / 2
        apart = qpos[:, 0] - qpos[:, 1]
        m11, m22, m12 = 8 / 3 * half, 2 / 3 * half, half * numbers.cos(apart)
        weight = self.gravity / length * half * numbers.sin(qpos)
        whirl = half * numbers.sin(apart)
        elbow = ctrl[:, 0] * self.largest_torque - self.friction * (qvel[:, 1] - qvel[:, 0])
        upper = -elbow - self.friction * qvel[:, 0] - whirl * qvel[:, 1] ** 2 - 3 * weight[:, 0]
        lower = elbow + whirl * qvel[:, 0] ** 2 - weight[:, 1]
        determinant = m11 * m22 - m12 * m12
        return numbers.stack([(m22 * upper - m12 * lower) / determinant, (m11 * lower - m12 * upper) / determinant], -1)

    def observe(self, state: State) -> Array:
        numbers = namespace(state.qpos)
        sine, cosine, turning = numbers.sin(state.qpos), numbers.cos(state.qpos), state.qvel
        return numbers.stack([sine, cosine, turning], -1).reshape(len(sine), -1)

    def state_of(self, observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sine, cosine, turning = observations.reshape(-1, 2, 3).transpose(2, 0, 1)
        return np.arctan2(sine, cosine), turning

    def tip_distance(self, state: State) -> Array:
        """Distance [N] of the tip from its upright position, m."""
        numbers = namespace(state.qpos)
        across = self.link_length * numbers.sin(state.qpos).sum(-1)
        missing = self.link_length * (2 + numbers.cos(state.qpos).sum(-1))
        return numbers.sqrt(across * across + missing * missing)

    def reward(self, before: State, action: Array, after: State) -> Array:
        distance = self.tip_distance(after)
        return indicator(distance < self.paid_distance, distance)

    def terminated(self, state: State) -> Array:
        return never_terminated(state)

    def initial(self, rng: np.random.Generator, qpos0: np.ndarray, qvel0: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scale = self.reset_noise_scale
        angles, turning = rng.standard_normal((2, 2)) * [[scale], [0.1 * scale]]
        return qpos0 + angles, qvel0 + turning

    def scene(self, qpos: np.ndarray) -> list[Stroke | Disc]:
        across, along = self.link_length * np.sin(qpos), -self.link_length * np.cos(qpos)
        elbow, tip = (float(across[0]), float(along[0])), (float(across.sum()), float(along.sum()))
        return [
            Disc((0.0, 2 * self.link_length), self.paid_distance, LIGHT),
            Stroke([(0.0, 0.0), elbow], 0.12, BLUE),
            Stroke([elbow, tip], 0.12, ORANGE),
            Disc((0.0, 0.0), 0.09, INK),
            Disc(elbow, 0.09, INK),
        ]
