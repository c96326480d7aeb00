"""Statistics over seeds and tasks equal rliable's numbers, closed forms and SciPy's."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rlgen.bench.statistics import Bootstrap, aggregates, enough_for_interval, per_task, performance_profile, pooled_iqm
from rlgen.errors import InputError

RLIABLE_SCORES = np.array([
    [0.29, 0.59, 0.96, 1.03],
    [0.30, 0.66, 1.00, -0.45],
    [0.22, 0.34, 1.02, 0.44],
    [0.40, 0.91, 0.94, 0.67],
    [0.23, 0.76, 1.01, 0.32],
    [0.38, 0.86, 1.00, 0.04],
    [0.25, 0.58, 1.05, 1.53],
    [0.31, 0.15, 0.94, 0.96],
])  # fmt: skip
MANY = Bootstrap(resamples=20_000)


def by_task(matrix):
    """[runs, tasks] → task → seed → score."""
    return {f"task {task}": dict(enumerate(column.tolist())) for task, column in enumerate(np.asarray(matrix).T)}


def test_aggregates_equal_those_of_rliable():
    """rliable 1.2.0 (arch 7.2.0, pandas 2.3.3, NumPy 2.4.6; it fails with arch 8) gave these numbers after
    np.random.seed(0) for

        library.get_interval_estimates({"x": RLIABLE_SCORES}, lambda s: np.array([metrics.aggregate_iqm(s),
            metrics.aggregate_mean(s), metrics.aggregate_median(s), metrics.aggregate_optimality_gap(s)]), reps=50000)

    The ends of two bootstraps of this size differ by about a hundredth of an interval's width.
    """
    found = aggregates(by_task(RLIABLE_SCORES), bootstrap=MANY)
    assert [each.value for each in found] == pytest.approx([0.62875, 0.6153125, 0.586875, 0.4046875], abs=1e-12)
    low, high = [0.503125, 0.505, 0.411875, 0.3140625], [0.7525, 0.7246875, 0.79625, 0.503125]
    assert [each.interval[0] for each in found] == pytest.approx(low, abs=0.01)
    assert [each.interval[1] for each in found] == pytest.approx(high, abs=0.01)


def test_the_performance_profile_equals_that_of_rliable():
    """As above, library.create_performance_profile({"x": RLIABLE_SCORES}, np.linspace(0, 1.25, 6), reps=20000)."""
    profile = performance_profile(by_task(RLIABLE_SCORES), np.linspace(0, 1.25, 6), bootstrap=MANY)
    assert profile.above.tolist() == [0.96875, 0.8125, 0.5625, 0.4375, 0.15625, 0.03125]
    low, high = [0.90625, 0.6875, 0.4375, 0.3125, 0.0625, 0], [1, 0.9375, 0.6875, 0.5625, 0.28125, 0.09375]
    one_run = 1 / RLIABLE_SCORES.size
    assert profile.interval[0] == pytest.approx(low, abs=one_run)
    assert profile.interval[1] == pytest.approx(high, abs=one_run)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.floats(-1e4, 1e4), min_size=3, max_size=3), min_size=1, max_size=12))
def test_the_iqm_without_missing_runs_is_scipys_trimmed_mean(rows):
    matrix = np.array(rows)
    assert pooled_iqm(list(matrix.T)) == pytest.approx(stats.trim_mean(matrix, 0.25, axis=None), abs=1e-6)


ragged = st.lists(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=4), min_size=1, max_size=4)


@settings(deadline=None, max_examples=50)
@given(ragged)
def test_the_iqm_gives_tasks_equal_weights_where_runs_are_missing(tasks):
    # Each run in so many copies that every task has the same number of copies, and a whole number of them is cut.
    runs = sum(map(len, tasks))
    copies = math.lcm(*map(len, tasks)) * runs
    expanded = np.concatenate([np.repeat(task, copies // len(task)) for task in tasks])
    cut = runs // 4 * copies * len(tasks) // runs
    kept = np.sort(expanded)[cut : len(expanded) - cut]
    assert pooled_iqm([np.array(task) for task in tasks]) == pytest.approx(kept.mean(), abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(ragged)
def test_the_iqm_of_negative_scores_is_the_negative_iqm(tasks):
    samples = [np.array(task) for task in tasks]
    assert pooled_iqm([-sample for sample in samples]) == pytest.approx(-pooled_iqm(samples), abs=1e-6)


def test_aggregates_of_missing_runs_average_over_tasks_first():
    found = aggregates({"a": {0: 0.0, 1: 2.0}, "b": {0: 0.5}, "c": {3: 0.25, 4: 0.5, 9: 0.75}})
    assert found.mean.value == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert found.median.value == 0.5
    assert found.optimality_gap.value == pytest.approx((0.5 + 0.5 + 0.5) / 3)


def test_the_stratified_interval_of_a_mean_has_the_normal_width():
    # A resample of n runs has the variance s² (n - 1) / n around the mean, and tasks are resampled apart.
    scores = np.random.default_rng(0).normal([0, 100], [1, 2], size=(40, 2))
    low, high = aggregates(by_task(scores), bootstrap=MANY).mean.interval
    half = 1.96 * np.sqrt(scores.var(0).sum() / 40) / 2
    assert (high - low) / 2 == pytest.approx(half, rel=0.05)


def test_the_optimality_gap_of_scores_below_gamma_is_gamma_minus_the_mean():
    found = aggregates(by_task(RLIABLE_SCORES), gamma=2)
    assert found.optimality_gap.value == pytest.approx(2 - found.mean.value)
    assert np.subtract(2, found.optimality_gap.interval[::-1]) == pytest.approx(found.mean.interval)


def test_the_profile_of_one_task_is_the_survival_function():
    values = np.round(np.random.default_rng(1).normal(size=30), 1)
    profile = performance_profile({"a": dict(enumerate(values))}, np.unique(values))
    assert profile.above == pytest.approx(stats.ecdf(values).sf.probabilities)


def test_a_task_has_its_mean_and_iqm():
    found = per_task({"a": {0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0, 4: 99.0}, "b": {0: 7.0, 5: 8.0, 6: 9.0, 7: 9.0}})
    assert found["a"].mean.value == 21
    assert found["a"].iqm.value == 2
    assert found["a"].iqm.interval[0] < 2 < found["a"].iqm.interval[1]
    assert found["b"].runs == 4
    assert found["b"].mean.interval is None


@pytest.mark.parametrize(
    ("sizes", "enough"), [([5], True), ([4], False), ([3, 3], True), ([3, 2], False), ([9, 1], False)]
)
def test_an_interval_needs_five_runs_and_three_of_each_task(sizes, enough):
    assert enough_for_interval(sizes) is enough
    found = aggregates({str(task): dict.fromkeys(range(size), 1.0) for task, size in enumerate(sizes)})
    assert (found.iqm.interval == (1, 1)) is enough


def test_the_same_seed_gives_the_same_interval_and_another_one_not():
    scores = by_task(RLIABLE_SCORES)
    assert aggregates(scores) == aggregates(scores)
    assert aggregates(scores) != aggregates(scores, bootstrap=Bootstrap(seed=1))


@pytest.mark.parametrize("scores", [{}, {"a": {}}, {"a": {0: np.nan}}, {"a": {0: 1.0}, "b": {0: -np.inf}}])
def test_scores_that_are_missing_or_infinite_are_refused(scores):
    for function in (aggregates, per_task, lambda scores: performance_profile(scores, [0.5])):
        with pytest.raises(InputError, match=r"expected .*; got .*; "):
            function(scores)


def test_a_profile_needs_finite_thresholds():
    for thresholds in ([], [np.nan]):
        with pytest.raises(InputError, match="thresholds"):
            performance_profile({"a": {0: 1.0}}, thresholds)


@pytest.mark.parametrize("wrong", [{"resamples": 0}, {"confidence": 1.0}])
def test_a_bootstrap_without_resamples_or_with_full_confidence_is_refused(wrong):
    with pytest.raises(InputError):
        Bootstrap(**wrong)
