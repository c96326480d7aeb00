"""SwimmerGather: food to collect and bombs to avoid, seen by range sensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from typing import Any, ClassVar

import mujoco
import numpy as np

from rlgen.errors import problem
from rlgen.sim.task import Array, State, Task, indicator, namespace

from .range_sensor import readings

GONE_Z = -10.0
"""Height at which collected things wait for the next episode, below the floor, m."""


@dataclass(frozen=True, kw_only=True)
class SwimmerGather(Task):
    """Reward +1 for each food and -1 for each bomb within 1 m, which then is gone. Duan et al. 2016, 1604.06778.

    The hierarchical task of Houthooft et al. 2016 (1605.09674): 8 of each on even coordinates from -6 to 6 m, none
    nearer than 2 m at the start; 500 steps of 0.05 s; the episode ends when nothing is left. Observation (30 numbers):
    positions and velocities of the swimmer, then what 10 sectors ahead (a half circle, 6 m) show of food and of bombs.

    Differs from the paper: Gymnasium's swimmer (RK4, armature, ±150 N m) in place of rllab's; distances are from the
    torso's frame, the middle of the swimmer when it is straight, and not from its centre of mass, because the frame is
    exact after a step; the centre of mass is not observed, for the same reason; rllab's coordinates end at 4 m on one
    side; its walls, which touch nothing, are left out.
    """

    xml: ClassVar[str] = "swimmer.xml"
    timestep_s: ClassVar[float] = 0.01
    fields: ClassVar[tuple[str, ...]] = ("qpos", "qvel", "mocap_pos")
    camera: ClassVar[Mapping[str, Any]] = {
        "trackbodyid": 0, "distance": 17.0, "elevation": -60.0, "lookat": (0.0, 0.0, 0.0),
    }  # fmt: skip

    frame_skip: int = 5
    n_food: int = 8
    n_bombs: int = 8
    activity_range: float = 6.0
    """Things stand within ± this, m."""
    spacing: float = 2.0
    """Least distance of a thing from the start, m."""
    catch_range: float = 1.0
    """m."""
    n_bins: int = 10
    """Sectors of a sensor."""
    sensor_range: float = 6.0
    """m."""
    sensor_span: float = pi
    """Radians."""

    def __post_init__(self) -> None:
        super().__post_init__()
        wanted, cells = self.n_food + self.n_bombs, len(self._cells)
        if min(self.n_food, self.n_bombs) < 0 or not 0 < wanted <= cells:
            raise problem(
                f"1 to {cells} things, as many as there are even coordinates within {self.activity_range} m",
                f"n_food={self.n_food}, n_bombs={self.n_bombs}",
                "change their numbers or activity_range",
            )

    def furnished(self, spec: Any) -> Any:
        """A ball per thing, without mass, that nothing touches: the simulator draws and saves it."""
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

    def moved(self, state: State) -> Array:
        numbers, things = namespace(state.mocap_pos), state.mocap_pos
        height = numbers.where(self._caught(state), numbers.full_like(things[..., 2], GONE_Z), things[..., 2])
        return numbers.concatenate([things[..., :2], height[..., None]], axis=-1)

    def terminated(self, state: State) -> Array:
        return ~present(state.mocap_pos).any(-1)

    def placed(self, rng: np.random.Generator) -> np.ndarray:
        cells = self._cells
        chosen = cells[rng.choice(len(cells), self.n_food + self.n_bombs, replace=False)]
        return np.concatenate([chosen, np.zeros((len(chosen), 1))], axis=1)

    @property
    def _kinds(self) -> tuple[slice, slice]:
        """Which of the things are food and which are bombs."""
        return slice(0, self.n_food), slice(self.n_food, None)

    @property
    def _cells(self) -> np.ndarray:
        """[C, 2]: where things may stand."""
        line = 2.0 * np.arange(-(self.activity_range // 2), self.activity_range // 2 + 1)
        grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
        return grid[np.hypot(*grid.T) >= self.spacing]

    def _caught(self, state: State) -> Array:
        """[N, M] bool."""
        apart = state.mocap_pos[..., :2] - state.qpos[:, None, :2]
        return present(state.mocap_pos) & ((apart * apart).sum(-1) < self.catch_range**2)


def present(things: Array) -> Array:
    """[N, M] bool: which of the things at [N, M, 3] are not collected yet."""
    return things[..., 2] > GONE_Z / 2
