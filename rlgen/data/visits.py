"""Counts of the states that an agent visits, in cells along chosen axes."""

import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data.formats.npz import read_npz
from rlgen.errors import problem

VISITS = "visits.npz"
"""File of a run folder that holds them."""
WIDEST_BOUND = 1e6  # wider ranges are not divided into cells


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis of the grid: an observation component, or an angle that is observed as its sine and cosine.

    Cells are `width` wide. With `low` and `high` the axis ends there, and values beyond count in the outermost cell;
    without them it has as many cells as are visited.
    """

    name: str
    """Name, with its unit."""
    columns: tuple[int, ...]
    """Index of the observation component; for an angle the indices of its sine and cosine."""
    width: float | None = None
    """Cell width. None: a fiftieth of the axis, or, if the axis has no ends, of the range of the first observations
    counted, rounded up to 1, 2 or 5 times a power of ten, so that the runs of a task share their cells."""
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if len(self.columns) not in (1, 2):
            raise problem("one column, or a sine's and a cosine's", str(self.columns), "give one or two indices")
        if (self.low is None) != (self.high is None):
            raise problem("both ends of an axis, or neither", f"{self.low}, {self.high}", "give low and high")
        if self.low is not None and self.high is not None and not -math.inf < self.low < self.high < math.inf:
            raise problem("an axis of finite low < high", f"{self.low}, {self.high}", "leave both out for no ends")
        if self.width is not None and not 0 < self.width < math.inf:
            raise problem("cells of a positive width", f"{self.width}", "leave it out for the default")

    def values(self, observations: np.ndarray, columns: Sequence[int] | None = None) -> np.ndarray:
        """Values [B] along this axis; `columns` lists the components that `observations` holds, None for all."""
        places = self.columns if columns is None else [columns.index(column) for column in self.columns]
        found = observations[:, places].astype(np.float64)
        return found[:, 0] if len(self.columns) == 1 else np.arctan2(found[:, 0], found[:, 1])


def axes_within(low: np.ndarray, high: np.ndarray) -> tuple[Axis, ...]:
    """Axes for the first two observation components (or the only one), with ends where the bounds `low` and `high` [O]
    are finite and differ."""
    axes = []
    for place, (least, most) in enumerate(zip(low.ravel()[:2].tolist(), high.ravel()[:2].tolist(), strict=True)):
        ends = (least, most) if -WIDEST_BOUND <= least < most <= WIDEST_BOUND else (None, None)
        axes.append(Axis(name=f"observation {place}", columns=(place,), low=ends[0], high=ends[1]))
    return tuple(axes)


CELLS = 50  # along an axis without a given width
LARGEST_CELL = 2**31 - 1
ARRAYS = ("names", "columns", "ends", "widths", "cells", "counts", "first_reward_step")


class Visits:
    """Counts of visited cells: cells [K, D] (cell number along each of D = 1 or 2 axes, for the K visited cells) in
    lexicographic order, counts [K]."""

    def __init__(self, axes: Sequence[Axis]):
        if len(axes) not in (1, 2):
            raise problem("one or two axes", f"{len(axes)}", "name the observation components to count")
        self.axes = tuple(axes)
        self.widths = np.array([_fixed_width(axis) for axis in self.axes])
        """[D], NaN until the first observations are counted."""
        self.keys = np.zeros(0, dtype=np.int64)
        """[K], ascending: each cell as one number, because sorting pairs takes ten times as long."""
        self.counts = np.zeros(0, dtype=np.int64)
        self.first_reward_step: int | None = None
        """Environment steps until the first task reward."""

    @property
    def columns(self) -> list[int]:
        """Indices of the observation components that the axes use."""
        return sorted({column for axis in self.axes for column in axis.columns})

    def add(self, observations: np.ndarray, columns: Sequence[int] | None = None) -> None:
        """Counts the states [B, O], skipping those that are not finite; `columns` lists the components that they hold,
        None for all."""
        values = np.stack([axis.values(observations, columns) for axis in self.axes], axis=1)
        values = values[np.isfinite(values).all(axis=1)]
        if not len(values):
            return
        unknown = np.isnan(self.widths)
        if unknown.any():
            self.widths[unknown] = [_round_width(extent / CELLS) for extent in np.ptp(values[:, unknown], axis=0)]
        self._merge(self.cells_of(values), np.ones(len(values), dtype=np.int64))

    def _merge(self, cells: np.ndarray, counts: np.ndarray) -> None:
        """Adds `counts` [B] to those of `cells` [B, D], which may repeat."""
        keys, place = np.unique(_keys(cells), return_inverse=True)
        sums = np.bincount(place.ravel(), weights=counts, minlength=len(keys)).astype(np.int64)
        there = np.searchsorted(self.keys, keys)
        known = np.zeros(len(keys), dtype=bool)
        inside = there < len(self.keys)
        known[inside] = self.keys[there[inside]] == keys[inside]
        self.counts[there[known]] += sums[known]
        self.keys = np.insert(self.keys, there[~known], keys[~known])
        self.counts = np.insert(self.counts, there[~known], sums[~known])

    @property
    def cells(self) -> np.ndarray:
        """[K, D]."""
        if len(self.axes) == 1:
            return self.keys[:, None]
        first = (self.keys + LARGEST_CELL) >> 32
        return np.stack([first, self.keys - (first << 32)], axis=1)

    def cells_of(self, values: np.ndarray) -> np.ndarray:
        """Cell numbers [B, D] of values [B, D]: counted from `low`, or from zero where an axis has no ends."""
        cells = np.floor((values - self.lows) / self.widths).clip(-LARGEST_CELL, LARGEST_CELL).astype(np.int64)
        for index, total in enumerate(self.totals()):
            if total is not None:
                cells[:, index] = cells[:, index].clip(0, total - 1)
        return cells

    @staticmethod
    def together(every: Sequence["Visits"]) -> "Visits":
        """The sum of visits along the same axes, on the widest of their cells, with the earliest first reward.

        Raises `InputError` if the axes differ.
        """
        first = every[0]
        for other in every[1:]:
            same = [(axis.name, axis.low, axis.high) for axis in other.axes]
            if same != [(axis.name, axis.low, axis.high) for axis in first.axes]:
                names = [", ".join(axis.name for axis in visits.axes) for visits in (first, other)]
                raise problem(f"visits over {names[0]}", f"some over {names[1]}", "combine runs of one task")
        known = [visits for visits in every if len(visits.keys)]
        total = Visits(first.axes)
        if known:
            total.widths = np.max([visits.widths for visits in known], axis=0)
        for visits in known:
            total._merge(visits.cells_at(total.widths), visits.counts)
        rewarded = [visits.first_reward_step for visits in every if visits.first_reward_step is not None]
        total.first_reward_step = min(rewarded, default=None)
        return total

    def cells_at(self, widths: np.ndarray) -> np.ndarray:
        """The visited cells [K, D], by their centers, in a grid of other widths [D], where some may coincide."""
        if np.array_equal(widths, self.widths):
            return self.cells
        other = Visits(self.axes)
        other.widths = np.array(widths)
        return other.cells_of(self.lows + (self.cells + 0.5) * self.widths)

    @property
    def lows(self) -> np.ndarray:
        """[D]: lower end of cell 0."""
        return np.array([axis.low or 0.0 for axis in self.axes])

    def totals(self) -> list[int | None]:
        """Number of cells along each axis; None for an axis without ends."""
        return [
            None if axis.low is None or axis.high is None else max(1, round((axis.high - axis.low) / width))
            for axis, width in zip(self.axes, self.widths, strict=True)
        ]

    @property
    def share(self) -> float | None:
        """Visited fraction of the grid; None if the grid has no ends."""
        totals = [total for total in self.totals() if total is not None]
        return len(self.keys) / math.prod(totals) if len(totals) == len(self.axes) else None

    def state_dict(self) -> dict[str, Any]:
        return {
            "widths": self.widths.copy(),
            "keys": self.keys.copy(),
            "counts": self.counts.copy(),
            "first_reward_step": self.first_reward_step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`, for visits of the same axes."""
        self.widths, self.keys, self.counts = (np.asarray(state[name]).copy() for name in ("widths", "keys", "counts"))
        self.first_reward_step = state["first_reward_step"]

    def to_bytes(self) -> bytes:
        """All counts as the bytes of a .npz without pickled objects."""
        file = io.BytesIO()
        ends = [(_or_nan(axis.low), _or_nan(axis.high)) for axis in self.axes]
        columns = [(*axis.columns, -1)[:2] for axis in self.axes]
        first = -1 if self.first_reward_step is None else self.first_reward_step
        np.savez_compressed(
            file,
            names=np.array([axis.name for axis in self.axes]),
            columns=np.array(columns),
            ends=np.array(ends),
            widths=self.widths,
            cells=self.cells,
            counts=self.counts,
            first_reward_step=np.array(first),
        )
        return file.getvalue()

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Visits":
        """Reads the visits from a file with the bytes of `to_bytes`, such as a run's visits.npz."""
        path = Path(path)
        if not path.is_file():
            raise problem(f"a file of visits at {path}", "none", "train with `rlgen train explore`, which writes one")
        try:
            return cls._of_arrays(read_npz(path, ARRAYS))
        except Exception as error:  # of any type, because the arrays may hold anything
            raise problem(
                f"a complete file of visits at {path}",
                f"a damaged one ({type(error).__name__}: {error})",
                "delete it; if the run is not finished, `rlgen resume` continues it and writes the file again",
            ) from error

    @classmethod
    def _of_arrays(cls, found: dict[str, np.ndarray]) -> "Visits":
        axes = [
            Axis(
                name=str(name),
                columns=tuple(int(column) for column in columns if column >= 0),
                width=None if np.isnan(width) else float(width),
                low=None if np.isnan(low) else float(low),
                high=None if np.isnan(high) else float(high),
            )
            for name, columns, (low, high), width in zip(
                found["names"], found["columns"], found["ends"], found["widths"], strict=True
            )
        ]
        visits = cls(axes)
        cells, counts = found["cells"], found["counts"]
        whole = all(array.dtype.kind in "iu" for array in (cells, counts))
        if not whole or cells.shape != (len(counts), len(axes)) or (counts < 0).any():
            raise ValueError(f"cells of type {cells.dtype} and shape {cells.shape}, {counts.shape} counts")
        visits._merge(cells.astype(np.int64), counts.astype(np.int64))
        first = int(found["first_reward_step"])
        visits.first_reward_step = None if first < 0 else first
        return visits


def _keys(cells: np.ndarray) -> np.ndarray:
    """[B] from cells [B, D]: one number for each cell, in the order of the cells."""
    return cells[:, 0] if cells.shape[1] == 1 else (cells[:, 0] << 32) + cells[:, 1]


def _fixed_width(axis: Axis) -> float:
    """NaN if the width depends on observations yet to come."""
    if axis.width is not None:
        return axis.width
    return math.nan if axis.low is None or axis.high is None else (axis.high - axis.low) / CELLS


def _round_width(least: float) -> float:
    """1, 2 or 5 times a power of ten, at least `least`; 1 for zero."""
    if least <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-6))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
