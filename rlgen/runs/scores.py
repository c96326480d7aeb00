"""Scores: returns normalized between random and expert, and statistics over seeds."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from rlgen.errors import problem

Reference = Literal["demonstrations", "expert"]
"""Source of the mean return with score 1: the demonstrated episodes, or the expert's policy in the same evaluation."""
RETURN_OF: dict[Reference, str] = {"demonstrations": "the demonstrations' return", "expert": "the expert's return"}
ENOUGH_FOR_INTERVAL = 5
"""Fewest independent runs for a bootstrap interval; with three it would be lowest to highest."""


def normalised_return(returns: float, random: float | None, expert: float | None) -> float | None:
    """(return − random) / (expert − random): 0 for random actions, 1 for the reference, above 1 for better than the
    reference.

    None if a reference is unknown, or if both are equal.
    """
    if random is None or expert is None or expert == random:
        return None
    return (returns - random) / (expert - random)


def share_of_failures(returns: Sequence[float] | np.ndarray, expert: float | None) -> float | None:
    """Fraction of the episodes with less than half of the expert's mean return; a return of NaN counts as failed.

    It shows failures that the mean hides, also in tasks that do not end a failed episode: a flipped Ant lies still
    until the time limit. None without an expert, and for an expert's return of 0 or below, half of which is not less.
    """
    values = np.asarray(returns, dtype=np.float64).ravel()
    if expert is None or not expert > 0 or not len(values):
        return None
    return float(np.mean(~(values >= expert / 2)))


def interquartile_mean(values: Sequence[float] | np.ndarray) -> float:
    """Interquartile mean, without the lowest and the highest ⌊n/4⌋ values. Agarwal et al. 2021, arXiv 2108.13264.

    With fewer than four values it is the mean.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if not len(ordered):
        raise problem("at least one value to average", "none", "check that the runs finished")
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def over_runs(values: Sequence[float] | np.ndarray, write: Callable[[float], str]) -> str:
    """The result of several independent runs as a cell of a table; `write` formats a number.

    From five runs on the interquartile mean and its bootstrap interval, "4,002 [3,990, 4,015]"; for fewer mean, lowest
    and highest, "4,002 (3,990 to 4,015)"; for one its value.
    """
    middle = write(middle_of_runs(values))
    if len(values) == 1:
        return middle
    if len(values) < ENOUGH_FOR_INTERVAL:
        return f"{middle} ({write(min(values))} to {write(max(values))})"
    low, high = bootstrap_interval(values)
    return f"{middle} [{write(low)}, {write(high)}]"


def over_runs_title(sizes: Sequence[int]) -> str:
    """The legend of `over_runs` for groups of these numbers of runs; empty if none has two."""
    kinds = []
    if any(1 < size < ENOUGH_FOR_INTERVAL for size in sizes):
        kinds.append("mean (lowest to highest seed)")
    if any(size >= ENOUGH_FOR_INTERVAL for size in sizes):
        kinds.append("interquartile mean [95 % interval]")
    return f", from {ENOUGH_FOR_INTERVAL} seeds on ".join(kinds)


def middle_of_runs(values: Sequence[float] | np.ndarray) -> float:
    """The interquartile mean of five or more runs, the mean of fewer."""
    return interquartile_mean(values) if len(values) >= ENOUGH_FOR_INTERVAL else float(np.mean(values))


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    statistic: Callable[[np.ndarray], float] = interquartile_mean,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic` over independent runs. Efron 1979; used by arXiv 2108.13264.

    With one value both ends are that value.
    """
    sample = np.asarray(values, dtype=np.float64).ravel()
    if not len(sample):
        raise problem("at least one value to resample", "none", "check that the runs finished")
    draws = np.random.default_rng(seed).integers(len(sample), size=(resamples, len(sample)))
    statistics = [statistic(sample[draw]) for draw in draws]
    low, high = np.quantile(statistics, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
