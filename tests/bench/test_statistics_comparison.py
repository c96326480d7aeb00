"""Comparisons of two agents equal rliable's numbers, SciPy's, and enumerations."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rlgen.bench.statistics import Bootstrap
from rlgen.bench.statistics_comparison import compare, difference, holm, p_value, probability_of_improvement
from rlgen.errors import InputError

RLIABLE_X = np.array([
    [0.29, 0.59, 0.96, 1.03],
    [0.30, 0.66, 1.00, -0.45],
    [0.22, 0.34, 1.02, 0.44],
    [0.40, 0.91, 0.94, 0.67],
    [0.23, 0.76, 1.01, 0.32],
    [0.38, 0.86, 1.00, 0.04],
    [0.25, 0.58, 1.05, 1.53],
    [0.31, 0.15, 0.94, 0.96],
])  # fmt: skip
RLIABLE_Y = np.array([
    [0.15, 1.52, 0.92, 1.24],
    [0.25, 0.55, 0.98, 0.66],
    [0.32, 0.47, 1.00, 0.59],
    [0.43, 1.02, 1.01, 0.72],
    [0.18, 0.86, 0.98, 0.89],
    [0.19, 1.00, 1.03, 0.97],
])  # fmt: skip
few = st.lists(st.integers(0, 4), min_size=2, max_size=5)


def seeded(values, first=0):
    return {first + number: float(value) for number, value in enumerate(values)}


def by_task(matrix):
    return {f"task {task}": seeded(column) for task, column in enumerate(np.asarray(matrix).T)}


def test_the_probability_of_improvement_equals_that_of_rliable():
    """rliable 1.2.0 (arch 7.2.0, pandas 2.3.3, NumPy 2.4.6) gave these numbers after np.random.seed(0) for

    library.get_interval_estimates({"x,y": [RLIABLE_X, RLIABLE_Y]},
        lambda x, y: np.array([metrics.probability_of_improvement(x, y)]), reps=20000)
    """
    found = probability_of_improvement(by_task(RLIABLE_X), by_task(RLIABLE_Y), bootstrap=Bootstrap(resamples=20_000))
    assert found.value == pytest.approx(0.45572917, abs=1e-8)
    assert found.interval == pytest.approx((0.30208333, 0.61458333), abs=0.01)


@settings(deadline=None, max_examples=50)
@given(few, few)
def test_the_probability_of_improvement_is_mann_whitneys_u_per_pair(x, y):
    found = probability_of_improvement({"a": seeded(x)}, {"a": seeded(y)}).value
    assert found == pytest.approx(stats.mannwhitneyu(x, y).statistic / (len(x) * len(y)))
    assert found + probability_of_improvement({"a": seeded(y)}, {"a": seeded(x)}).value == pytest.approx(1)


def test_the_probability_of_improvement_averages_over_tasks():
    found = probability_of_improvement(
        {"a": {0: 1.0}, "b": {0: 1.0}, "c": {0: 1.0}}, {"a": {0: 0.0, 1: 0.0}, "b": {0: 1.0}, "c": {0: 2.0}}
    )
    assert found.value == pytest.approx((1 + 0.5 + 0) / 3)


@pytest.mark.parametrize("statistic", ["mean", "iqm"])
def test_scores_with_the_same_seeds_are_resampled_in_pairs(statistic):
    runs = np.random.default_rng(0).normal(size=8) * 100
    x, y = {"a": seeded(runs + 1)}, {"a": dict(reversed(seeded(runs).items()))}
    assert difference(x, y, statistic).interval == pytest.approx((1, 1))
    low, high = difference(x, {"a": seeded(runs, first=1)}, statistic).interval
    assert low < -10 < 10 < high


def test_the_interval_of_a_difference_of_means_has_the_normal_width():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=40), rng.normal(size=(50)) * 2
    for other, variance in ((y[:40], np.var(x - y[:40]) / 40), (y, x.var() / 40 + y.var() / 50)):
        found = difference({"a": seeded(x)}, {"a": seeded(other)}, "mean", bootstrap=Bootstrap(resamples=20_000))
        assert found.value == pytest.approx(x.mean() - other.mean())
        assert np.ptp(found.interval) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.05)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=6))
def test_the_paired_p_value_counts_all_signs(scores):
    gains = np.array([x - y for x, y in scores])
    sums = [np.dot(signs, gains) for signs in product([-1, 1], repeat=len(gains))]
    expected = np.mean(np.abs(sums) >= abs(gains.sum()))  # a symmetric distribution: twice the smaller tail
    x, y = ({seed: float(pair[side]) for seed, pair in enumerate(scores)} for side in (0, 1))
    assert p_value(x, y) == pytest.approx(expected)


@settings(deadline=None, max_examples=30)
@given(few, few)
def test_the_unpaired_p_value_counts_all_splits_with_ties(x, y):
    ranks = stats.rankdata([*x, *y])
    sums = np.array([ranks[list(rows)].sum() for rows in combinations(range(len(ranks)), len(x))])
    ours = ranks[: len(x)].sum()
    expected = min(1, 2 * min(np.mean(sums >= ours - 1e-9), np.mean(sums <= ours + 1e-9)))
    assert p_value(seeded(x), seeded(y, first=100)) == pytest.approx(expected)


def test_the_least_p_values_are_those_of_counting():
    assert p_value(seeded([1, 2, 3, 4, 5]), seeded([0, 0, 0, 0, 0])) == pytest.approx(2**-4)
    assert p_value(seeded([6, 7, 8, 9]), seeded([1, 2, 3, 4], first=9)) == pytest.approx(2 / 70)
    assert p_value({0: 1.0}, {0: 2.0}) is None
    assert p_value({0: 1.0}, {1: 2.0, 2: 2.0}) is None


def test_holm_of_a_textbook_example():
    # By hand: 4 · 0.005, 3 · 0.01, 2 · 0.03, and 1 · 0.04, which may not be below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_by_bonferroni(p):
    # Marcus, Peritz & Gabriel 1976: a hypothesis is rejected if every intersection that contains it is.
    indices = range(len(p))
    sets = [chosen for size in range(1, len(p) + 1) for chosen in combinations(indices, size)]
    expected = [max(min(1, len(s) * min(p[i] for i in s)) for s in sets if mine in s) for mine in indices]
    assert holm(p) == pytest.approx(expected)


def test_a_p_value_outside_0_to_1_is_refused():
    for wrong in (1.5, np.nan):
        with pytest.raises(InputError, match="between 0 and 1"):
            holm([0.1, wrong])


def test_a_table_compares_every_agent_with_the_baseline_on_the_tasks_of_both():
    rng = np.random.default_rng(0)
    base = {"a": seeded(rng.normal(size=8)), "b": seeded(rng.normal(size=8))}
    better = {task: {seed: score + 3 for seed, score in runs.items()} for task, runs in base.items()}
    alike = {"a": seeded(rng.normal(size=8), first=100), "only": {0: 1.0}}
    single = {"b": {0: 1.0}}
    rows = compare({"alike": alike, "base": base, "better": better, "single": single}, "base")
    assert [(row.agent, row.task, row.paired) for row in rows] == [
        ("alike", "a", False),
        ("better", "a", True),
        ("better", "b", True),
        ("single", "b", False),
    ]
    assert rows[1].difference.value == pytest.approx(3)
    assert rows[1].improvement.value > 0.9
    assert rows[1].p == pytest.approx(2**-7)
    assert [row.p_holm for row in rows[:3]] == pytest.approx(holm([row.p for row in rows[:3]]))
    assert (rows[3].p, rows[3].p_holm, rows[3].difference.interval) == (None, None, None)
    assert compare({"alike": alike, "base": base}, "base") == compare({"alike": alike, "base": base}, "base")


def test_a_comparison_needs_the_same_tasks_and_a_known_baseline():
    with pytest.raises(InputError, match=r"same tasks.*b of one"):
        difference({"a": {0: 1.0}}, {"a": {0: 1.0}, "b": {0: 1.0}})
    with pytest.raises(InputError, match=r"GAIL, BC.*PPO"):
        compare({"GAIL": {}, "BC": {}}, "PPO")
    with pytest.raises(InputError, match="finite"):
        p_value({0: np.nan, 1: 1.0}, {0: 1.0, 1: 2.0})
