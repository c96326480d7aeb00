"""Scores have the values that the definitions, and SciPy, give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlgen.errors import InputError
from rlgen.runs.scores import (
    bootstrap_interval,
    interquartile_mean,
    normalised_return,
    over_runs,
    over_runs_title,
    share_of_failures,
)

returns = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=30)


def test_normalized_return_is_zero_for_random_and_one_for_expert():
    assert normalised_return(-50.0, random=-50.0, expert=4000.0) == 0
    assert normalised_return(4000.0, random=-50.0, expert=4000.0) == 1
    assert normalised_return(1975.0, random=-50.0, expert=4000.0) == 0.5


@pytest.mark.parametrize(("random", "expert"), [(None, 1.0), (1.0, None), (2.0, 2.0)])
def test_normalized_return_without_two_references_is_unknown(random, expert):
    assert normalised_return(1.0, random, expert) is None


def test_an_episode_below_half_of_the_expert_failed():
    assert share_of_failures([4700.0, 2350.0, 2349.0, 900.0], expert=4700.0) == 0.5
    assert share_of_failures([4700.0, np.nan], expert=4700.0) == 0.5


@pytest.mark.parametrize("expert", [None, 0.0, -200.0, float("nan")])
def test_failures_are_unknown_where_half_of_the_expert_is_no_bar(expert):
    assert share_of_failures([1.0, -1.0], expert) is None


def test_interquartile_mean_leaves_out_the_outer_quarters():
    assert interquartile_mean([1000, 2, 4, -9999]) == 3
    assert interquartile_mean([1, 2, 9]) == 4  # a quarter of three is none


@settings(deadline=None)
@given(returns)
def test_interquartile_mean_agrees_with_scipy(values):
    stats = pytest.importorskip("scipy.stats")
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25), abs=1e-6)


@settings(deadline=None)
@given(returns)
def test_the_bootstrap_interval_lies_within_the_values(values):
    low, high = bootstrap_interval(values, resamples=20)
    assert min(values) - 1e-6 <= low <= high <= max(values) + 1e-6


def test_the_bootstrap_interval_of_a_mean_has_the_normal_width():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(values, np.mean, resamples=4000)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(400), rel=0.06)


def test_two_to_four_runs_have_no_interval_but_lowest_and_highest():
    assert over_runs([3.0], str) == "3.0"
    assert over_runs([3.0, 5.0], str) == "4.0 (3.0 to 5.0)"
    assert over_runs([1.0, 2.0, 3.0, 10.0], str) == "4.0 (1.0 to 10.0)"
    assert over_runs([1.0, 2.0, 3.0, 4.0, 90.0], lambda value: f"{value:.0f}").startswith("3 [")
    assert over_runs_title([1, 1]) == ""
    assert "interval" not in over_runs_title([1, 4])
    assert "interval" in over_runs_title([5])


def test_no_values_are_an_error():
    with pytest.raises(InputError, match="at least one value"):
        interquartile_mean([])
    with pytest.raises(InputError, match="at least one value"):
        bootstrap_interval([])
