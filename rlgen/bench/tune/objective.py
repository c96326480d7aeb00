"""The objective of `rlgen tune`: the bad end of the interval over seeds, and what is known of it before the end."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Literal

import numpy as np

from rlgen.bench.cells import Cell
from rlgen.bench.protocol import Metric, Task, name_of
from rlgen.runs.scores import ENOUGH_FOR_INTERVAL, bootstrap_interval, normalised_return

PARTS = 10
"""Parts of a training; the pruner gets a value at the end of each."""


def objective(values: Sequence[float], better: Literal["high", "low"] = "high") -> float:
    """The bad end of the interval over seeds, a value each: the lower one where high values are good.

    From five seeds on the end of the 95 % percentile bootstrap interval of the interquartile mean. For fewer the worst
    seed: lowest to highest of n independent seeds contain the median training with probability 1 − 2^(1−n), whatever
    the distribution: 75 % for three, 87.5 % for four. Thompson 1936, Annals of Mathematical Statistics 7(3). A t
    interval would need normal returns, and with three seeds little but their standard deviation would decide.
    """
    low, high = (
        bootstrap_interval(values) if len(values) >= ENOUGH_FOR_INTERVAL else (float(min(values)), float(max(values)))
    )
    return low if better == "high" else high


def name_of_interval(seeds: int) -> str:
    """The interval of `objective` in words."""
    if seeds >= ENOUGH_FOR_INTERVAL:
        return f"95 % bootstrap interval of the interquartile mean of {seeds} seeds"
    coverage = 100 * (1 - 2 ** (1 - seeds))
    return f"interval from the lowest to the highest of {seeds} seeds ({coverage:g} % for the median)"


def score_of(value: float, task: Task, normalized: bool) -> float:
    """The value, or where it is `normalized` its place between the task's `random` (0) and `expert` (1)."""
    if not normalized:
        return value
    score = normalised_return(value, task.random, task.expert)
    assert score is not None, "both are checked when the file is read"
    return score


def per_seed(cells: Sequence[Cell], scores: Mapping[str, float]) -> dict[int, float]:
    """Seed → mean over the tasks, of the seeds with a score (by cell) on all of them."""
    seeds = dict.fromkeys(cell.seed for cell in cells)
    own = {seed: [cell for cell in cells if cell.seed == seed] for seed in seeds}
    return {
        seed: mean(scores[cell.id] for cell in mine)
        for seed, mine in own.items()
        if all(cell.id in scores for cell in mine)
    }


def curve_for(chosen: str, metric: Metric) -> str:
    """Column of metrics.csv that shows the metric during a training; empty if none does."""
    if chosen:
        return chosen
    if metric.take == "last":
        return metric.name
    return "evaluation/return_mean" if metric.take == "result" and metric.name == "return_mean" else ""


def parts_of(curve: Mapping[str, np.ndarray], name: str, total: float) -> Iterator[tuple[int, float]]:
    """Part of the training (1 to 9 of 10) → the first value of the column `name` after it, as far as the curve goes.

    `total`: environment steps of the whole training.
    """
    if name not in curve or not total > 0:
        return
    known = np.isfinite(curve[name])
    seen: set[int] = set()
    for step, value in zip(curve["step"][known], curve[name][known], strict=True):
        part = int(PARTS * step / total + 1e-9)
        if 0 < part < PARTS and part not in seen:
            seen.add(part)
            yield part, float(value)


def task_of(cell: Cell, tasks: Sequence[Task]) -> Task:
    """The task of a cell."""
    return next(task for task in tasks if name_of(task) == cell.task)
