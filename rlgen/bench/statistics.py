"""Statistics over seeds and over tasks, with stratified bootstrap intervals. Agarwal et al. 2021, arXiv 2108.13264.

Several tasks have equal weights, also where their numbers of seeds differ.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from rlgen.errors import problem
from rlgen.runs.scores import ENOUGH_FOR_INTERVAL

Scores = Mapping[str, Mapping[int, float]]
"""Scores of one agent: task → seed → score. Tasks may have different seeds, and different numbers of them."""
ENOUGH_PER_TASK = 3
"""Fewest runs of each task for an interval over tasks."""


class Estimate(NamedTuple):
    """A number and its bootstrap interval."""

    value: float
    interval: tuple[float, float] | None
    """Lower and upper end; None for too few runs (`enough_for_interval`)."""


class TaskScore(NamedTuple):
    """What the seeds of one task say together."""

    mean: Estimate
    iqm: Estimate
    """Interquartile mean."""
    runs: int


class Aggregates(NamedTuple):
    """What the runs of all tasks say together. Agarwal et al. 2021, section 4.3."""

    iqm: Estimate
    """Interquartile mean of the runs of all tasks."""
    mean: Estimate
    """Mean over tasks of the mean over seeds."""
    median: Estimate
    """Median over tasks of the mean over seeds."""
    optimality_gap: Estimate
    """Mean amount by which runs fall short of the score γ."""


class Profile(NamedTuple):
    """The distribution of scores over all runs. Agarwal et al. 2021, section 4.2."""

    thresholds: np.ndarray
    """Scores [K]."""
    above: np.ndarray
    """Fraction of the runs above each threshold [K]."""
    interval: tuple[np.ndarray, np.ndarray] | None
    """Lower and upper end at each threshold [K] (pointwise); None for too few runs."""


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """Percentile bootstrap that resamples the runs of each task apart. Efron 1979; Agarwal et al. 2021, section 4.1."""

    resamples: int = 2000
    """Number of resamples."""
    confidence: float = 0.95
    """Coverage of an interval, between 0 and 1."""
    seed: int = 0
    """Seed of the resamples."""

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise problem("at least 1 resample", str(self.resamples), "take 2000")
        if not 0 < self.confidence < 1:
            raise problem("a confidence between 0 and 1", str(self.confidence), "take 0.95")

    def interval(
        self, sizes: Sequence[int], statistic: Callable[[Sequence[np.ndarray]], np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The lower and the upper end for strata of `sizes` (two or more each).

        `statistic` maps the drawn positions of each stratum, [resamples, size], to values [*, resamples].
        """
        result = stats.bootstrap(
            [np.arange(size) for size in sizes],
            lambda *draws, axis: statistic(draws),
            n_resamples=self.resamples,
            confidence_level=self.confidence,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(self.seed),
        )
        return result.confidence_interval.low, result.confidence_interval.high


DEFAULT = Bootstrap()


def enough_for_interval(sizes: Iterable[int]) -> bool:
    """Whether tasks with these numbers of runs support an interval: five runs in all, and three of each task."""
    sizes = list(sizes)
    return sum(sizes) >= ENOUGH_FOR_INTERVAL and min(sizes) >= ENOUGH_PER_TASK


def per_task(scores: Scores, *, bootstrap: Bootstrap = DEFAULT) -> dict[str, TaskScore]:
    """The mean and the interquartile mean of every task, with intervals from five seeds on."""
    checked_scores(scores)
    summary = {}
    for task, runs in scores.items():
        alone = aggregates({task: runs}, bootstrap=bootstrap)
        summary[task] = TaskScore(alone.mean, alone.iqm, len(runs))
    return summary


def aggregates(scores: Scores, *, gamma: float = 1.0, bootstrap: Bootstrap = DEFAULT) -> Aggregates:
    """The four aggregates over tasks of normalized scores; `gamma` is the score that the optimality gap counts from."""
    tasks = list(checked_scores(scores).values())

    def of_samples(samples: Sequence[np.ndarray]) -> np.ndarray:
        median = np.median([sample.mean(-1) for sample in samples], 0)
        gap = gamma - mean_of_means([np.minimum(sample, gamma) for sample in samples])
        return np.stack([pooled_iqm(samples), mean_of_means(samples), median, gap])

    values = of_samples(tasks)
    sizes = [len(task) for task in tasks]
    if not enough_for_interval(sizes):
        return Aggregates(*(Estimate(float(value), None) for value in values))
    low, high = bootstrap.interval(sizes, lambda draws: of_samples(_drawn(tasks, draws)))
    return Aggregates(*map(estimate, values, low, high))


def performance_profile(
    scores: Scores, thresholds: Sequence[float] | np.ndarray, *, bootstrap: Bootstrap = DEFAULT
) -> Profile:
    """The fraction of the runs above each threshold (run-score distribution)."""
    tasks = list(checked_scores(scores).values())
    marks = finite("thresholds", thresholds)

    def above(samples: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([mean_of_means([sample > mark for sample in samples]) for mark in marks])

    sizes = [len(task) for task in tasks]
    if not enough_for_interval(sizes):
        return Profile(marks, above(tasks), None)
    return Profile(marks, above(tasks), bootstrap.interval(sizes, lambda draws: above(_drawn(tasks, draws))))


def pooled_iqm(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Interquartile mean of the runs of all tasks, [..., runs] each.

    A run weighs 1 / (tasks · runs of its task). Either end loses the weight of ⌊n/4⌋ of n equal runs, so that without
    missing runs it is `scipy.stats.trim_mean` of them all.
    """
    values = np.concatenate(samples, -1)
    weights = np.concatenate([np.full(sample.shape, 1 / (len(samples) * sample.shape[-1])) for sample in samples], -1)
    order = values.argsort(-1)
    values, weights = np.take_along_axis(values, order, -1), np.take_along_axis(weights, order, -1)
    cut = values.shape[-1] // 4 / values.shape[-1]
    up_to = weights.cumsum(-1)
    kept = np.maximum(np.minimum(up_to, 1 - cut) - np.maximum(up_to - weights, cut), 0)
    return (values * kept).sum(-1) / kept.sum(-1)


def mean_of_means(samples: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over tasks of the mean over runs, [..., runs] each."""
    return np.mean([sample.mean(-1) for sample in samples], 0)


def estimate(value: float, low: float | np.ndarray, high: float | np.ndarray) -> Estimate:
    return Estimate(float(value), (float(low), float(high)))


def checked_scores(scores: Scores) -> dict[str, np.ndarray]:
    """Task → scores [runs] in the order of their seeds; an `InputError` for no task, no run, NaN and infinity."""
    if not scores:
        raise problem("scores of at least one task", "none", "check that cells of the benchmark finished")
    return {task: finite(f"scores of {task}", [runs[seed] for seed in sorted(runs)]) for task, runs in scores.items()}


def finite(what: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """The values as a vector of float64; an `InputError` if there is none, or one is NaN or infinite."""
    vector = np.asarray(values, dtype=np.float64).ravel()
    if not len(vector):
        raise problem(f"at least one of the {what}", "none", "check that the runs finished")
    wrong = [value for value in vector.tolist() if not math.isfinite(value)]
    if wrong:
        raise problem(f"finite {what}", f"{wrong[0]}", "leave the failed runs out and say so, or run them again")
    return vector


def _drawn(tasks: Sequence[np.ndarray], draws: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [task[draw] for task, draw in zip(tasks, draws, strict=True)]
