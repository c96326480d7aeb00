"""Times to a threshold equal published numbers, plain means and SciPy's curve."""

import numpy as np
import pytest
from scipy import stats

from rlgen.bench.statistics import Bootstrap
from rlgen.bench.statistics_survival import Crossing, first_crossing, restricted_means, time_to_threshold
from rlgen.errors import InputError

# Weeks of remission under 6-MP (Freireich et al. 1963), the textbook example of the Kaplan-Meier curve.
REACHED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
CENSORED = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
REMISSION = [Crossing(t, True) for t in REACHED] + [Crossing(t, False) for t in CENSORED]


def area_below(curve, horizon):
    """Area below a survival curve of `scipy.stats.ecdf`, by its definition."""
    grid = np.linspace(0, horizon, 20_001)
    return float(np.mean(curve.evaluate((grid[1:] + grid[:-1]) / 2)) * horizon)


def test_the_survival_curve_equals_the_published_one():
    found = time_to_threshold(REMISSION)
    published = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}
    curve = dict(zip(found.times.tolist(), found.survival.tolist(), strict=True))
    assert [curve[week] for week in published] == pytest.approx(list(published.values()), abs=5e-5)
    assert (found.median, found.reached, found.runs, found.horizon) == (23, 9, 21, 35)


@pytest.mark.parametrize("horizon", [5.0, 20.0, 35.0])
def test_the_restricted_mean_is_the_area_below_scipys_curve(horizon):
    curve = stats.ecdf(stats.CensoredData(uncensored=REACHED, right=CENSORED)).sf
    found = time_to_threshold(REMISSION, horizon=horizon)
    assert found.restricted_mean.value == pytest.approx(area_below(curve, horizon), abs=0.01)


def test_without_censoring_the_restricted_mean_is_the_mean_and_its_interval_that_of_a_mean():
    times = np.random.default_rng(0).uniform(1, 100, size=40)
    found = time_to_threshold([Crossing(t, True) for t in times], bootstrap=Bootstrap(resamples=20_000))
    assert found.restricted_mean.value == pytest.approx(times.mean())
    assert np.ptp(found.restricted_mean.interval) / 2 == pytest.approx(1.96 * times.std() / np.sqrt(40), rel=0.05)
    capped = time_to_threshold([Crossing(t, True) for t in times], horizon=50)
    assert capped.restricted_mean.value == pytest.approx(np.minimum(times, 50).mean())


def test_resampled_restricted_means_are_those_of_scipys_curves():
    times, reached = np.array([each.time for each in REMISSION]), np.array([each.reached for each in REMISSION])
    draws = np.random.default_rng(0).integers(21, size=(5, 21))
    counts = np.array([np.bincount(draw, minlength=21) for draw in draws])
    curves = [stats.ecdf(stats.CensoredData.right_censored(times[d], ~reached[d])).sf for d in draws]
    expected = [area_below(curve, 25) for curve in curves]
    assert restricted_means(times, reached, counts, 25) == pytest.approx(expected, abs=0.01)


def test_the_median_of_runs_of_which_most_fail_is_unknown():
    found = time_to_threshold([Crossing(10, True), Crossing(50, False), Crossing(50, False)])
    assert found.median is None
    assert found.restricted_mean == (pytest.approx((10 + 50 + 50) / 3), None)
    never = time_to_threshold([Crossing(50, False)] * 5)
    assert (never.median, never.reached, never.restricted_mean) == (None, 0, (50, (50, 50)))


def test_a_crossing_is_the_first_value_at_the_threshold_or_the_end_of_the_run():
    assert first_crossing([0, 10, 20, 30], [1.0, 5.0, 2.0, 9.0], 5) == Crossing(10, True)
    assert first_crossing([0, 10, 20, 30], [1.0, 5.0, 2.0, 9.0], 9.5) == Crossing(30, False)


@pytest.mark.parametrize(
    ("times", "values"), [([], []), ([0, 1], [1.0]), ([2, 1], [0.0, 0.0]), ([-1], [0.0]), ([0, 1], [0.0, np.nan])]
)
def test_a_damaged_curve_is_refused(times, values):
    with pytest.raises(InputError, match=r"expected .*; got .*; "):
        first_crossing(times, values, 1.0)


def test_a_horizon_beyond_the_runs_is_refused_unless_all_have_crossed():
    with pytest.raises(InputError, match="horizon from 0 to 50"):
        time_to_threshold([Crossing(10, True), Crossing(50, False)], horizon=60)
    assert time_to_threshold([Crossing(10, True)], horizon=60).restricted_mean.value == 10
    for wrong in (-1, np.nan, np.inf):
        with pytest.raises(InputError, match="horizon"):
            time_to_threshold([Crossing(10, True)], horizon=wrong)
    for crossings in ([], [Crossing(np.inf, True)]):
        with pytest.raises(InputError):
            time_to_threshold(crossings)
