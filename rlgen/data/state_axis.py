"""A number of the observation, or an angle in it, along which states are counted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlgen.errors import problem

WIDEST_BOUND = 1e6  # bounds beyond it are no range to divide into cells


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One direction of the grid: a number of the observation, or an angle that is observed as its sine and cosine.

    Cells are `width` wide. With `low` and `high` the axis ends there, and what lies beyond counts as the outermost
    cell; without, it has as many cells as are visited.
    """

    name: str
    """With its unit."""
    columns: tuple[int, ...]
    """Place in the observation; two places: those of a sine and of a cosine."""
    width: float | None = None
    """None: a fiftieth of the axis, or, where that has no ends, of the range of the first observations counted, rounded
    up to 1, 2 or 5 times a power of ten, so that the runs of a task share their cells."""
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if len(self.columns) not in (1, 2):
            raise problem("one column, or a sine's and a cosine's", str(self.columns), "name one or two places")
        if (self.low is None) != (self.high is None):
            raise problem("both ends of an axis, or neither", f"{self.low}, {self.high}", "give low and high")
        if self.low is not None and self.high is not None and not -math.inf < self.low < self.high < math.inf:
            raise problem("an axis of finite low < high", f"{self.low}, {self.high}", "leave both out for no ends")
        if self.width is not None and not 0 < self.width < math.inf:
            raise problem("cells of a positive width", f"{self.width}", "leave it out for the default")

    def values(self, observations: np.ndarray, columns: Sequence[int] | None = None) -> np.ndarray:
        """[B] of observations [B, O], or of those places of them that `columns` names, in its order."""
        places = self.columns if columns is None else [columns.index(column) for column in self.columns]
        found = observations[:, places].astype(np.float64)
        return found[:, 0] if len(self.columns) == 1 else np.arctan2(found[:, 0], found[:, 1])


def axes_within(low: np.ndarray, high: np.ndarray) -> tuple[Axis, ...]:
    """The first two numbers of any observation (one, where there is no second), within those of the bounds `low` and
    `high` [O] that are finite and apart."""
    axes = []
    for place, (least, most) in enumerate(zip(low.ravel()[:2].tolist(), high.ravel()[:2].tolist(), strict=True)):
        ends = (least, most) if -WIDEST_BOUND <= least < most <= WIDEST_BOUND else (None, None)
        axes.append(Axis(name=f"observation {place}", columns=(place,), low=ends[0], high=ends[1]))
    return tuple(axes)
