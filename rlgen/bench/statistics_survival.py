"""Time to a threshold: runs that never reach it are censored at their end, not left out. Kaplan & Meier 1958."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from rlgen.bench.statistics import DEFAULT, Bootstrap, Estimate, enough_for_interval, estimate, finite
from rlgen.errors import problem


class Crossing(NamedTuple):
    """When one run reached the threshold."""

    time: float
    """First time (e.g. environment step) at the threshold; the run's end if it never reached it."""
    reached: bool


class TimeToThreshold(NamedTuple):
    """What several runs say about the time to a threshold."""

    times: np.ndarray
    """Times at which a run reached the threshold or ended, ascending [K]."""
    survival: np.ndarray
    """Kaplan-Meier probability not to have reached it after each time [K]."""
    median: float | None
    """First time at which half of the runs have reached it; None if it is later than the runs."""
    restricted_mean: Estimate
    """Mean time to the threshold, where a later time counts as the horizon."""
    horizon: float
    reached: int
    """Number of runs that reached it."""
    runs: int


def first_crossing(
    times: Sequence[float] | np.ndarray, values: Sequence[float] | np.ndarray, threshold: float
) -> Crossing:
    """The first of the ascending `times` with a value of at least `threshold`, or the last one, censored."""
    when, curve = finite("times of a curve", times), finite("values of a curve", values)
    if len(when) != len(curve) or np.any(np.diff(when) < 0) or when[0] < 0:
        raise problem(
            "ascending times from 0 on, one for each value",
            f"{len(when)} times from {when[0]:g} to {when[-1]:g} for {len(curve)} values",
            "sort the curve by time",
        )
    above = np.flatnonzero(curve >= finite("thresholds", [threshold])[0])
    return Crossing(float(when[above[0]]), True) if len(above) else Crossing(float(when[-1]), False)


def time_to_threshold(
    crossings: Sequence[Crossing], *, horizon: float | None = None, bootstrap: Bootstrap = DEFAULT
) -> TimeToThreshold:
    """The survival curve, its median, and the mean restricted to `horizon`, by default the end of the longest run.

    Give agents that you compare the same horizon. In a resample the curve stays level after the last run.
    """
    times = finite("times to a threshold", [each.time for each in crossings])
    reached = np.array([each.reached for each in crossings], bool)
    curve = stats.ecdf(stats.CensoredData.right_censored(times, ~reached)).sf
    half = curve.quantiles[curve.probabilities <= 0.5 + 1e-12]
    end = float(times.max()) if horizon is None else float(horizon)
    if not 0 <= end < np.inf or (end > times.max() and curve.probabilities[-1] > 0):
        raise problem(
            f"a horizon from 0 to {times.max():g}, where the longest run ends", f"{end}", "take a shorter one"
        )
    mean = float(restricted_means(times, reached, np.ones((1, len(times))), end)[0])
    restricted = Estimate(mean, None)
    if enough_for_interval([len(times)]):
        ends = bootstrap.interval(
            [len(times)], lambda draws: restricted_means(times, reached, _counts(draws[0], len(times)), end)
        )
        restricted = estimate(mean, *ends)
    return TimeToThreshold(
        times=curve.quantiles,
        survival=curve.probabilities,
        median=float(half[0]) if len(half) else None,
        restricted_mean=restricted,
        horizon=end,
        reached=int(reached.sum()),
        runs=len(times),
    )


def restricted_means(times: np.ndarray, reached: np.ndarray, counts: np.ndarray, horizon: float) -> np.ndarray:
    """Area below the survival curve until `horizon` for each resample [R], with the runs that often: counts [R, runs].

    For many resamples at once: `scipy.stats.ecdf` takes milliseconds for each.
    """
    order = np.lexsort((~reached, times))  # of equal times, the reached ones first
    counts, reached, until = counts[:, order], reached[order], np.minimum(times[order], horizon)
    at_risk = counts[:, ::-1].cumsum(-1)[:, ::-1]
    left = 1 - counts * reached / np.maximum(at_risk, 1)
    survival = np.concatenate([np.ones((len(counts), 1)), left.cumprod(-1)], -1)
    return survival @ np.diff(until, prepend=0, append=horizon)


def _counts(draws: np.ndarray, runs: int) -> np.ndarray:
    """How often each run is drawn [R, runs], from the drawn positions [R, runs]."""
    return (draws[..., None] == np.arange(runs)).sum(-2)
