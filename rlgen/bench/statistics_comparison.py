"""Two agents compared: difference, probability of improvement, p-values, and Holm's correction of a table of them.

Where both have the same seeds on a task, their scores are pairs: resampled together, and tested as differences.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from rlgen.bench.statistics import (
    DEFAULT,
    Bootstrap,
    Estimate,
    Scores,
    checked_scores,
    enough_for_interval,
    estimate,
    mean_of_means,
    pooled_iqm,
)
from rlgen.errors import problem


class Pair(NamedTuple):
    """The scores of two agents on one task, in the order of their seeds."""

    x: np.ndarray
    """[runs of X]."""
    y: np.ndarray
    """[runs of Y]."""
    same_seeds: bool


class Comparison(NamedTuple):
    """One agent against the baseline on one task."""

    task: str
    agent: str
    baseline: str
    difference: Estimate
    """Interquartile mean of the agent minus that of the baseline."""
    improvement: Estimate
    """Probability that a run of the agent has a higher score than one of the baseline."""
    p: float | None
    """p-value of no difference (`p_value`); None with a single seed."""
    p_holm: float | None
    """p corrected for all comparisons of the table."""
    paired: bool
    """Whether both have the same seeds."""


def probability_of_improvement(x: Scores, y: Scores, *, bootstrap: Bootstrap = DEFAULT) -> Estimate:
    """P(X > Y) of a run of X and a run of Y on the same task, averaged over tasks; a tie counts ½.

    Agarwal et al. 2021, section 4.3: the Mann-Whitney U statistic divided by the number of pairs.
    """
    pairs = pairs_of(x, y)
    wins = [(pair.x[:, None] > pair.y) + 0.5 * (pair.x[:, None] == pair.y) for pair in pairs]

    def of_rows(rows: Iterator[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        won = [win[xs[..., :, None], ys[..., None, :]].mean((-1, -2)) for win, (xs, ys) in zip(wins, rows, strict=True)]
        return np.mean(won, 0)

    return _estimate(pairs, of_rows, bootstrap)


def difference(
    x: Scores, y: Scores, statistic: Literal["iqm", "mean"] = "iqm", *, bootstrap: Bootstrap = DEFAULT
) -> Estimate:
    """The statistic of X over all tasks minus that of Y."""
    pairs = pairs_of(x, y)
    of_samples = {"iqm": pooled_iqm, "mean": mean_of_means}[statistic]

    def of_rows(rows: Iterator[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        drawn = [(pair.x[xs], pair.y[ys]) for pair, (xs, ys) in zip(pairs, rows, strict=True)]
        return of_samples([xs for xs, _ in drawn]) - of_samples([ys for _, ys in drawn])

    return _estimate(pairs, of_rows, bootstrap)


def p_value(x: Mapping[int, float], y: Mapping[int, float], *, seed: int = 0) -> float | None:
    """Two-sided p-value of "no difference" on one task, seed → score each; None with a single seed.

    With the same seeds the sign-flip test of the mean difference, whose least p from n seeds is 2^(1−n), so that fewer
    than six never give p < 0.05; else the Mann-Whitney test. Both are exact for few seeds, ties included.
    """
    (pair,) = pairs_of({"the task": x}, {"the task": y})
    if min(len(pair.x), len(pair.y)) < 2:
        return None
    rng = np.random.default_rng(seed)
    if pair.same_seeds:
        flipped = stats.permutation_test(
            (pair.x - pair.y,), lambda d, axis: d.mean(axis), permutation_type="samples", vectorized=True, rng=rng
        )
        return float(flipped.pvalue)
    tied = len(np.unique([*pair.x, *pair.y])) < len(pair.x) + len(pair.y)
    method = stats.PermutationMethod(n_resamples=9999, rng=rng) if tied else "auto"
    return float(stats.mannwhitneyu(pair.x, pair.y, method=method).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for the chance of one false positive among them. Holm 1979: step-down, in the given order."""
    p = np.asarray(p_values, dtype=np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise problem("p-values between 0 and 1", str(p.tolist()), "correct each table once")
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1)
    return corrected.tolist()


def compare(agents: Mapping[str, Scores], baseline: str, *, bootstrap: Bootstrap = DEFAULT) -> list[Comparison]:
    """Every other agent against the baseline on every task that both have, with Holm's correction over all of them."""
    if baseline not in agents:
        raise problem(f"the baseline among the agents ({', '.join(agents)})", baseline, "name one of them")
    found = []
    for agent, scores in agents.items():
        for task in scores if agent != baseline else ():
            if task not in agents[baseline]:
                continue
            x, y = {task: scores[task]}, {task: agents[baseline][task]}
            better = probability_of_improvement(x, y, bootstrap=bootstrap)
            p = p_value(scores[task], agents[baseline][task], seed=bootstrap.seed)
            paired = pairs_of(x, y)[0].same_seeds
            apart = difference(x, y, bootstrap=bootstrap)
            found.append(Comparison(task, agent, baseline, apart, better, p, None, paired))
    corrected = iter(holm([each.p for each in found if each.p is not None]))
    return [each if each.p is None else each._replace(p_holm=next(corrected)) for each in found]


def pairs_of(x: Scores, y: Scores) -> list[Pair]:
    """The scores of every task; an `InputError` if the tasks differ."""
    of_x, of_y = checked_scores(x), checked_scores(y)
    if set(of_x) != set(of_y):
        one_sided = ", ".join(sorted(set(of_x) ^ set(of_y)))
        raise problem("two agents with the same tasks", f"{one_sided} of one alone", "compare them on shared tasks")
    return [Pair(of_x[task], of_y[task], set(x[task]) == set(y[task])) for task in of_x]


def _estimate(
    pairs: Sequence[Pair],
    statistic: Callable[[Iterator[tuple[np.ndarray, np.ndarray]]], np.ndarray],
    bootstrap: Bootstrap,
) -> Estimate:
    """`statistic` maps the rows of X and of Y per task, [..., runs] each, to values [...]."""
    value = float(statistic((np.arange(len(pair.x)), np.arange(len(pair.y))) for pair in pairs))
    if not all(enough_for_interval(map(len, side)) for side in zip(*[(pair.x, pair.y) for pair in pairs], strict=True)):
        return Estimate(value, None)
    sizes = [len(side) for pair in pairs for side in ([pair.x] if pair.same_seeds else [pair.x, pair.y])]

    def of_draws(draws: Sequence[np.ndarray]) -> np.ndarray:
        left = iter(draws)
        drawn = ((rows := next(left), rows if pair.same_seeds else next(left)) for pair in pairs)
        return statistic(drawn)

    return estimate(value, *bootstrap.interval(sizes, of_draws))
