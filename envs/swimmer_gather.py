"""SwimmerGather: a swimmer with range sensors that collects food and avoids bombs."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from typing import Any, ClassVar

import mujoco
import numpy as np

from rlgen.errors import problem
from rlgen.sim.task import Array, State, Task, indicator, namespace


def readings(
    position: Array, heading: Array, things: Array, present: Array, bins: int, reach: float, span: float
) -> Array:
    """Readings [N, bins]: 1 - distance / reach of the nearest object in each sector, 0 if none is within reach.

    The sectors divide `span` equally and are centered on the heading, the first one on the right. Duan et al. 2016
    (1604.06778).

    Args:
        position: position [N, 2] of the robot, m.
        heading: heading [N] of the robot, radians.
        things: positions [N, M, 2] of the objects, m.
        present: [N, M] bool; absent objects are not seen.
        bins: number of sectors.
        reach: range of the sensors, m.
        span: total angle of the sectors, radians.
    """
    numbers = namespace(position)
    if not things.shape[1]:
        return numbers.zeros((len(position), bins), dtype=position.dtype)
    apart = things - position[:, None, :]
    distance = numbers.sqrt((apart * apart).sum(-1))
    bearing = numbers.arctan2(apart[..., 1], apart[..., 0]) - heading[:, None]
    bearing = (bearing + pi) % (2 * pi) - pi
    sector = numbers.floor((bearing + span / 2) / (span / bins))
    strength = (1 - distance / reach) * (present & (distance <= reach))
    return numbers.stack([numbers.amax(strength * (sector == number), 1) for number in range(bins)], -1)


GONE_Z = -10.0
"""Height of collected objects until the next episode, below the floor, m."""


@dataclass(frozen=True, kw_only=True)
class SwimmerGather(Task):
    """Reward +1 for each food and -1 for each bomb within 1 m, which is then removed. Duan et al. 2016, 1604.06778.

    The hierarchical task of Houthooft et al. 2016 (1605.09674): 8 foods and 8 bombs at even coordinates from -6 to 6 m,
    none nearer than 2 m to the start; 500 steps of 0.05 s; the episode ends when no object is left. Observation
    (dimension 30): positions and velocities of the swimmer, then readings of 10 sectors ahead (a half circle, 6 m) for
    food and for bombs.

    Differs from the paper:

    - Gymnasium's swimmer (RK4, armature, ±150 N m) instead of rllab's.
    - Distances are from the torso's frame, the middle of a straight swimmer, instead of the center of mass, because the
      frame is exact after a step. The center of mass is not observed, for the same reason.
    - Coordinates end at 6 m on all sides; rllab's end at 4 m on one side.
    - No walls, because rllab's walls touch nothing.
    """

    rewards_events: ClassVar[bool] = True
    xml: ClassVar[str] = "swimmer.xml"
    timestep_s: ClassVar[float] = 0.01
    fields: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "mocap_pos")
    camera: ClassVar[Mapping[str, Any]] = {
        "trackbodyid": 0, "distance": 17.0, "elevation": -60.0, "lookat": (0.0, 0.0, 0.0),
    }  # fmt: skip

    frame_skip: int = 5
    n_food: int = 8
    """Number of foods."""
    n_bombs: int = 8
    """Number of bombs."""
    activity_range: float = 6.0
    """Largest absolute coordinate of an object, m."""
    spacing: float = 2.0
    """Smallest distance of an object from the start, m."""
    catch_range: float = 1.0
    """Distance within which an object is collected, m."""
    n_bins: int = 10
    """Number of sectors of a sensor."""
    sensor_range: float = 6.0
    """Range of the sensors, m."""
    sensor_span: float = pi
    """Total angle of the sectors, radians."""

    def __post_init__(self) -> None:
        super().__post_init__()
        wanted, cells = self.n_food + self.n_bombs, len(self._cells)
        if min(self.n_food, self.n_bombs) < 0 or not 0 < wanted <= cells:
            raise problem(
                f"1 to {cells} objects, the number of even coordinates within {self.activity_range} m",
                f"n_food={self.n_food}, n_bombs={self.n_bombs}",
                "change their numbers or activity_range",
            )

    def edit_spec(self, spec: Any) -> Any:
        """Add a ball per object, without mass or contacts, so that the simulator renders and saves it."""
        for number in range(self.n_food + self.n_bombs):
            food = number < self.n_food
            ball = spec.worldbody.add_body(name=f"{'food' if food else 'bomb'}{number}", mocap=True)
            ball.add_geom(
                type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.25, 0, 0], rgba=[0, 0.8, 0, 1] if food else [0.8, 0, 0, 1],
                mass=0, contype=0, conaffinity=0,
            )  # fmt: skip
        return spec

    def observe(self, state: State) -> Array:
        parts = [state.qpos, state.qvel]
        for kind in self._kinds:
            things = state.mocap_pos[:, kind]
            here, heading = state.qpos[:, :2], state.qpos[:, 2]
            parts.append(
                readings(
                    here, heading, things[..., :2], present(things), self.n_bins, self.sensor_range, self.sensor_span
                )
            )
        return namespace(state.qpos).concatenate(parts, axis=1)

    def reward(self, before: State, action: Array, after: State) -> Array:
        caught = indicator(self._caught(after), after.mocap_pos[..., 2])
        food, bombs = (caught[:, kind].sum(-1) for kind in self._kinds)
        return food - bombs

    def update_mocap(self, state: State) -> Array:
        numbers, things = namespace(state.mocap_pos), state.mocap_pos
        height = numbers.where(self._caught(state), numbers.full_like(things[..., 2], GONE_Z), things[..., 2])
        return numbers.concatenate([things[..., :2], height[..., None]], axis=-1)

    def terminated(self, state: State) -> Array:
        return ~present(state.mocap_pos).any(-1)

    def sample_mocap(self, rng: np.random.Generator) -> np.ndarray:
        cells = self._cells
        chosen = cells[rng.choice(len(cells), self.n_food + self.n_bombs, replace=False)]
        return np.concatenate([chosen, np.zeros((len(chosen), 1))], axis=1)

    @property
    def _kinds(self) -> tuple[slice, slice]:
        """Slices of the objects: food, bombs."""
        return slice(0, self.n_food), slice(self.n_food, None)

    @property
    def _cells(self) -> np.ndarray:
        """Possible positions [C, 2] of objects, m."""
        line = 2.0 * np.arange(-(self.activity_range // 2), self.activity_range // 2 + 1)
        grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
        return grid[np.hypot(*grid.T) >= self.spacing]

    def _caught(self, state: State) -> Array:
        """[N, M] bool: which objects the swimmer collects in this state."""
        apart = state.mocap_pos[..., :2] - state.qpos[:, None, :2]
        return present(state.mocap_pos) & ((apart * apart).sum(-1) < self.catch_range**2)


def present(things: Array) -> Array:
    """[N, M] bool: which of the objects at [N, M, 3] are not collected yet."""
    return things[..., 2] > GONE_Z / 2
