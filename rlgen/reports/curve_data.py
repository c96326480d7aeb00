"""Data of curves: one quantity of one run, or of several runs together, over environment steps."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlgen.display import Display, Metric, Panel, joined
from rlgen.runs import evaluation
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import CLOCK, read_metrics
from rlgen.runs.scores import ENOUGH_FOR_INTERVAL, middle_of_runs
from rlgen.sb3.panels import EPISODES, LEARNER

Folder = str | os.PathLike[str]
GRID_POINTS = 200
PANELS = joined((*evaluation.PANELS, *EPISODES, *LEARNER))
"""Panels of the metrics that every policy logs."""


@dataclass(frozen=True)
class Curve:
    """A line with a band: steps [P], middle [P], low [P], high [P]; low and high are None without a band."""

    steps: np.ndarray
    middle: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    runs: int = 1


MOST_UNDECLARED = 12
"""Panels of metrics that no panel was declared for."""

Table = dict[str, np.ndarray]


def read_tables(folders: Sequence[Folder]) -> list[Table]:
    """The metrics of several runs, without runs that have none."""
    return [table for folder in folders if (table := read_metrics(folder))]


def panels_of(folders: Sequence[Folder]) -> tuple[Panel, ...]:
    """The panels that the runs recorded; for runs without a record those of every policy."""
    return joined(panel for folder in folders for panel in _display(folder).panels or PANELS)


def _display(folder: Folder) -> Display:
    if isinstance(folder, RunFolder):
        return folder.display
    return RunFolder.open(folder).display if (Path(folder) / "config.json").is_file() else Display()


def panels_for(names: Sequence[str], panels: Sequence[Panel]) -> list[Panel]:
    """The panels of `panels` that have metrics in `names`, the large one first, then one for each name without a panel,
    at most 12 of these."""
    known = [each for panel in panels for each in panel.at_levels(names)]
    filled = [panel for panel in known if panel.drawn and any(metric.name in names for metric in panel.metrics)]
    undeclared = [
        Panel(name, (Metric(name, name),), steps=panels[0].steps if panels else "steps")
        for name in _beyond(names, known)
    ]
    large, small = ([panel for panel in filled if panel.large is which] for which in (True, False))
    return [*large, *small, *undeclared[:MOST_UNDECLARED]]


def not_drawn(names: Sequence[str], panels: Sequence[Panel]) -> list[str]:
    """The metrics in `names` that no panel of `panels_for` shows, without the clock's."""
    return _beyond(names, panels_for(names, panels))


def _beyond(names: Sequence[str], panels: Sequence[Panel]) -> list[str]:
    """The metrics in `names` that `panels` do not have, without the clock's."""
    named = {name for panel in panels for metric in panel.metrics for name in (metric.name, metric.band)}
    return [name for name in names if name != "step" and not name.startswith(CLOCK) and name not in named]


def curve_of(tables: Sequence[Table], series: Sequence[Metric]) -> Curve | None:
    """One quantity over the runs of `tables`; None if no run has it. `series`: alternative metrics of the quantity; the
    first one that a run has is used.

    One run: its values, with the band ± its standard deviation if it has one. Several: their mean on common steps with
    the band from the lowest to the highest run; from five runs on interquartile mean and quartiles.
    """
    lines = []
    for table in tables:
        metric = next((each for each in series if each.name in table), None)
        if metric is None:
            continue
        written = ~np.isnan(table[metric.name])
        if written.any():
            std = table.get(metric.band)
            values = metric.factor * table[metric.name][written]
            lines.append((table["step"][written], values, None if std is None else std[written]))
    if not lines:
        return None
    if len(lines) == 1:
        steps, values, std = lines[0]
        return Curve(steps, values) if std is None else Curve(steps, values, values - std, values + std)
    return _together([(steps, values) for steps, values, _ in lines])


def smoothed(values: np.ndarray, window: int) -> np.ndarray:
    """Centered moving average of up to `window` values; fewer at the ends. Shapes [P]."""
    half = min(window, len(values)) // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def _together(lines: list[tuple[np.ndarray, np.ndarray]]) -> Curve:
    """Several runs on common steps: their own if equal, else evenly spaced ones in the range that all runs cover."""
    grid = lines[0][0]
    if not all(np.array_equal(steps, grid) for steps, _ in lines):
        start, stop = max(steps[0] for steps, _ in lines), min(steps[-1] for steps, _ in lines)
        points = min(GRID_POINTS, max(len(steps) for steps, _ in lines))
        grid = np.linspace(start, stop, points) if stop > start else np.array([start])
    values = np.stack([np.interp(grid, steps, line) for steps, line in lines])
    edges = (0.25, 0.75) if len(lines) >= ENOUGH_FOR_INTERVAL else (0.0, 1.0)
    low, high = np.quantile(values, edges, axis=0)
    return Curve(grid, np.array([middle_of_runs(column) for column in values.T]), low, high, len(lines))
