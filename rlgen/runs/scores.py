"""Scores: a return between random and expert, and what several seeds say together."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from rlgen.errors import problem

Reference = Literal["demonstrations", "expert"]
"""Whose mean return counts as 1: of the demonstrated episodes, or of the expert's policy in the same evaluation."""
RETURN_OF: dict[Reference, str] = {"demonstrations": "the demonstrations' return", "expert": "the expert's return"}
ENOUGH_FOR_INTERVAL = 5
"""Independent runs from which on a bootstrap has something to say: of three it gives back lowest and highest."""


def normalised_return(returns: float, random: float | None, expert: float | None) -> float | None:
    """(return − random) / (expert − random): 0 like chance, 1 like the reference, more is better than the reference.

    None when a reference is not known, or when both are the same and the scale has no length.
    """
    if random is None or expert is None or expert == random:
        return None
    return (returns - random) / (expert - random)


def share_of_failures(returns: Sequence[float] | np.ndarray, expert: float | None) -> float | None:
    """Share of the episodes with less than half of the expert's mean return; a return that is not a number failed.

    Tells what the mean hides, also where a task never ends an episode that has gone wrong: a flipped Ant lies there
    until the time limit. None without an expert, and where its return is not above 0, because then half of it is no
    lower bar.
    """
    values = np.asarray(returns, dtype=np.float64).ravel()
    if expert is None or not expert > 0 or not len(values):
        return None
    return float(np.mean(~(values >= expert / 2)))


def interquartile_mean(values: Sequence[float] | np.ndarray) -> float:
    """Mean without the lowest and the highest quarter (each ⌊n/4⌋ values). Agarwal et al. 2021, arXiv 2108.13264.

    Differs from the paper: none; with fewer than four values nothing is cut and it is the mean.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if not len(ordered):
        raise problem("at least one value to average", "none", "check that the runs finished")
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def over_runs(values: Sequence[float] | np.ndarray, write: Callable[[float], str]) -> str:
    """What several independent runs reached, as a cell of a table; `write` writes a number.

    From five runs on the interquartile mean and its bootstrap interval, "4,002 [3,990, 4,015]"; of fewer, from which an
    interval would only give back the two ends, mean, lowest and highest: "4,002 (3,990 to 4,015)"; of one its value.
    """
    middle = write(middle_of_runs(values))
    if len(values) == 1:
        return middle
    if len(values) < ENOUGH_FOR_INTERVAL:
        return f"{middle} ({write(min(values))} to {write(max(values))})"
    low, high = bootstrap_interval(values)
    return f"{middle} [{write(low)}, {write(high)}]"


def over_runs_title(sizes: Sequence[int]) -> str:
    """What `over_runs` gives of groups of so many runs each; empty where none has two."""
    kinds = []
    if any(1 < size < ENOUGH_FOR_INTERVAL for size in sizes):
        kinds.append("mean (lowest to highest seed)")
    if any(size >= ENOUGH_FOR_INTERVAL for size in sizes):
        kinds.append("interquartile mean [95 % interval]")
    return f", from {ENOUGH_FOR_INTERVAL} seeds on ".join(kinds)


def middle_of_runs(values: Sequence[float] | np.ndarray) -> float:
    """The interquartile mean of five runs or more, the mean of fewer."""
    return interquartile_mean(values) if len(values) >= ENOUGH_FOR_INTERVAL else float(np.mean(values))


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    statistic: Callable[[np.ndarray], float] = interquartile_mean,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic` over independent runs. Efron 1979; used so by arXiv 2108.13264.

    With one value both ends are that value: one run says nothing about the spread.
    """
    sample = np.asarray(values, dtype=np.float64).ravel()
    if not len(sample):
        raise problem("at least one value to resample", "none", "check that the runs finished")
    draws = np.random.default_rng(seed).integers(len(sample), size=(resamples, len(sample)))
    statistics = [statistic(sample[draw]) for draw in draws]
    low, high = np.quantile(statistics, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
