"""Numbers of seeds agree with simulations and with closed forms of normal scores."""

import numpy as np
import pytest
from scipy import stats

from rlgen.bench.statistics import Estimate, per_task
from rlgen.bench.statistics_power import fewest_seeds, half_width, seeds_for_half_width, seeds_for_power
from rlgen.errors import InputError

NORMAL = stats.norm.ppf((np.arange(20) + 0.5) / 20)
NORMAL = NORMAL / NORMAL.std(ddof=1)


def seeded(values, first=0):
    return {first + number: float(value) for number, value in enumerate(values)}


@pytest.mark.parametrize("statistic", ["mean", "iqm"])
@pytest.mark.parametrize("wanted", [0.4, 0.7])
def test_as_many_seeds_as_said_give_the_wanted_half_width(statistic, wanted):
    # The fewest seeds whose intervals, over many samples of normal scores, have this half-width on average.
    def simulated(seeds):
        rng = np.random.default_rng(seeds)
        runs = rng.normal(size=(300, seeds))
        drawn = np.take_along_axis(runs[:, None], rng.integers(seeds, size=(300, 400, seeds)), -1)
        values = stats.trim_mean(drawn, 0.25, axis=-1) if statistic == "iqm" else drawn.mean(-1)
        return float(np.mean(np.diff(np.quantile(values, [0.025, 0.975], axis=-1), axis=0))) / 2

    now = getattr(per_task({"a": seeded(NORMAL)})["a"], statistic)
    said = seeds_for_half_width(now, len(NORMAL), wanted)
    assert simulated(said + 2) <= wanted < simulated(said - 3), "right within two seeds"


def test_the_half_width_of_a_mean_is_that_of_its_bootstrap():
    half = 1.96 * np.sqrt(19 / 20) / np.sqrt(20)  # of 20 runs with the standard deviation 1
    assert half_width(Estimate(0, (-half, half)), 20, 80) == pytest.approx(1.96 * np.sqrt(79 / 80) / np.sqrt(80))


def test_the_seeds_of_an_interval_are_enough_for_its_half_width():
    now = Estimate(5.0, (3.0, 7.0))
    assert seeds_for_half_width(now, 10, 2.0) == 10
    assert seeds_for_half_width(now, 10, 1.999) == 11
    assert seeds_for_half_width(now, 10, 100.0) == 5
    assert seeds_for_half_width(Estimate(5.0, (5.0, 5.0)), 10, 1e-9) == 5
    for wanted in (0.01, 0.3, 1.0):
        seeds = seeds_for_half_width(now, 10, wanted)
        assert half_width(now, 10, seeds) <= wanted < half_width(now, 10, seeds - 1)


@pytest.mark.parametrize("effect", [0.5, 0.8, 1.2])
def test_the_seeds_of_a_paired_comparison_have_the_power_of_the_paired_t_test(effect):
    seeds = seeds_for_power(seeded(NORMAL + effect), seeded(np.zeros(20)))
    powers = []
    for number in (seeds - 2, seeds + 2):
        bar, center = stats.t.isf(0.025, number - 1), effect * np.sqrt(number)
        powers.append(stats.nct.sf(bar, number - 1, center) + stats.nct.cdf(-bar, number - 1, center))
    assert powers[0] < 0.8 < powers[1]


def test_the_seeds_of_an_unpaired_comparison_have_the_power_of_the_mann_whitney_test():
    x, y = NORMAL + 1.0, NORMAL
    seeds = seeds_for_power(seeded(x), seeded(y, first=100))
    rng = np.random.default_rng(0)

    def test(a, b, axis):
        return stats.mannwhitneyu(a, b, axis=axis, method="asymptotic").pvalue

    powers = [
        stats.power(test, (lambda size: rng.normal(1, 1, size), lambda size: rng.normal(0, 1, size)), (n, n),
                    significance=0.05, n_resamples=4000, vectorized=True).power
        for n in (seeds - 3, seeds + 3)
    ]  # fmt: skip
    assert powers[0] < 0.8 < powers[1]


def test_a_large_difference_still_needs_as_many_seeds_as_the_test_can_count():
    assert seeds_for_power(seeded([9.0, 9.1]), seeded([0.0, 0.0])) == 6
    assert seeds_for_power(seeded([9.0, 9.0]), seeded([0.0, 0.0])) == 6
    assert fewest_seeds(0.05, paired=True) == 6
    assert fewest_seeds(0.05, paired=False) == 4
    assert fewest_seeds(0.01, paired=False) == 5


def test_no_difference_needs_no_number_of_seeds():
    assert seeds_for_power(seeded([1.0, 2.0]), seeded([2.0, 1.0])) is None
    assert seeds_for_power(seeded([1.0, 2.0]), seeded([1.9, 1.1 - 1e-6])) is None, "more than a million"
    assert seeds_for_power(seeded([1.0, 2.0]), seeded([2.0, 1.0], first=5)) is None


def test_what_cannot_be_answered_is_refused():
    with pytest.raises(InputError, match="with an interval"):
        seeds_for_half_width(Estimate(1.0, None), 3, 1.0)
    for wanted in (0.0, -1.0, np.nan, np.inf, 1e-200):
        with pytest.raises(InputError, match="half-width"):
            seeds_for_half_width(Estimate(1.0, (0.0, 2.0)), 5, wanted)
    with pytest.raises(InputError, match="two or more seeds"):
        seeds_for_power({0: 1.0}, {0: 2.0})
    with pytest.raises(InputError, match="significance < power"):
        seeds_for_power(seeded([1.0, 2.0]), seeded([2.0, 1.0]), power=1.0)
