"""How many seeds a wanted interval or a wanted power needs, estimated from the available ones.

Further seeds are assumed to have the same distribution, which five seeds show only roughly.
"""

import math
from collections.abc import Mapping

from scipy import stats

from rlgen.bench.statistics import Estimate
from rlgen.bench.statistics_comparison import pairs_of, probability_of_improvement
from rlgen.errors import problem
from rlgen.runs.scores import ENOUGH_FOR_INTERVAL

MOST = 1_000_000
"""Largest number of seeds that is an answer."""


def half_width(now: Estimate, seeds: int, wanted_seeds: int) -> float:
    """Half-width that the interval of `now`, from `seeds` seeds of every task, has with `wanted_seeds`.

    The √n law of the bootstrap: resampling n runs of standard deviation s gives a mean of standard deviation
    s √(n − 1) / n. Efron & Tibshirani 1993, chapter 5.
    """
    if now.interval is None or seeds < 2:
        raise problem("an estimate with an interval", "one without", f"run at least {ENOUGH_FOR_INTERVAL} seeds")
    low, high = now.interval
    return (high - low) / 2 * seeds / wanted_seeds * math.sqrt((wanted_seeds - 1) / (seeds - 1))


def seeds_for_half_width(now: Estimate, seeds: int, wanted: float) -> int:
    """Number of seeds of every task, the available ones included, whose interval has at most the half-width `wanted`.

    `now` is the estimate from `seeds` seeds (where tasks differ, the largest number errs on the safe side). It is at
    least five, the fewest for an interval.
    """
    if not 0 < wanted < math.inf:
        raise problem("a half-width above 0", f"{wanted}", "take it in the unit of the scores")
    if half_width(now, seeds, MOST) > wanted:
        raise problem(f"a half-width that {MOST:,} seeds give", f"{wanted:g}", "take a larger one")
    ratio = (half_width(now, seeds, seeds) * seeds / wanted) ** 2 / (seeds - 1)
    # The larger root n of n² = ratio · (n − 1), see `half_width`; without one, any n will do.
    needed = (ratio + math.sqrt(ratio * (ratio - 4))) / 2 if ratio > 4 else 0
    return max(math.ceil(needed - 1e-9 * needed), ENOUGH_FOR_INTERVAL)


def seeds_for_power(
    x: Mapping[int, float], y: Mapping[int, float], *, power: float = 0.8, significance: float = 0.05
) -> int | None:
    """Number of seeds of each agent with which `p_value` is below `significance` with probability `power`.

    It takes the observed difference for the true one; None if there is none or a million seeds are too few. With the
    same seeds the normal approximation of the paired test (Guenther 1981), else of Mann and Whitney's (Noether 1987).
    """
    if not 0 < significance < power < 1:
        raise problem("0 < significance < power < 1", f"{significance} and {power}", "take 0.05 and 0.8")
    (pair,) = pairs_of({"the task": x}, {"the task": y})
    if min(len(pair.x), len(pair.y)) < 2:
        raise problem("two or more seeds of each agent", f"{len(pair.x)} and {len(pair.y)}", "run more seeds")
    z = stats.norm.isf(significance / 2)
    both = (z + stats.norm.ppf(power)) ** 2
    if pair.same_seeds:
        gains = pair.x - pair.y
        effect = abs(float(gains.mean()))
        needed = both * (float(gains.std(ddof=1)) / effect) ** 2 + z**2 / 2 if effect > 1e-100 else math.inf
    else:
        lead = probability_of_improvement({"the task": x}, {"the task": y}).value - 0.5
        needed = both / (6 * lead**2) if lead else math.inf
    if needed > MOST:
        return None
    return max(math.ceil(needed), fewest_seeds(significance, paired=pair.same_seeds))


def fewest_seeds(significance: float, *, paired: bool) -> int:
    """Fewest seeds of each agent with which an exact two-sided test can give p ≤ `significance`."""
    seeds = 2
    while (2 ** (1 - seeds) if paired else 2 / math.comb(2 * seeds, seeds)) > significance:
        seeds += 1
    return seeds
