"""The table of results, the scale of their normalized scores, and the format of their numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from rlgen.display import Metric
from rlgen.errors import problem
from rlgen.runs.result import Returns
from rlgen.runs.scores import RETURN_OF, Reference, normalised_return, over_runs, share_of_failures
from rlgen.system.console import number


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: a run, a group of runs, or a reference."""

    name: str
    returns: str = ""
    normalized: float | None = None
    """Normalized return, shown as a bar: 0 random, 1 the reference."""
    failures: float | None = None
    """Fraction of episodes below half of the reference's return."""
    terminated: float | None = None
    """Fraction of episodes that the task ended."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Cells of further columns, by column name."""
    kind: str = ""
    """Style of the line: "own" is emphasized, "part" is dimmed, "group" is a heading of the rows below it."""

    @property
    def bar(self) -> str:
        """Length of the bar in percent."""
        return f"{100 * min(1.0, max(0.0, self.normalized or 0.0)):.1f}"


@dataclass(frozen=True)
class Table:
    """A table with name, return and, if any row has them, normalized return with its bar, failed, ended by the task,
    and further columns. On a narrow page each row is a block with the column's name in every cell."""

    rows: Sequence[Row]
    value: str = "return"
    """Name of the column of `Row.returns`."""

    @property
    def scaled(self) -> bool:
        """Whether rows have bars."""
        return any(row.normalized is not None for row in self.rows)

    @property
    def columns(self) -> list[str]:
        played = any(row.returns for row in self.rows)
        failed = any(row.failures is not None for row in self.rows)
        ended = any(row.terminated is not None for row in self.rows)
        known = {self.value: played, "normalized": self.scaled, "failed": failed, "ended by the task": ended}
        return [
            *(name for name, shown in known.items() if shown),
            *dict.fromkeys(k for row in self.rows for k in row.more),
        ]

    def cells(self, row: Row) -> Iterator[tuple[str, str]]:
        """Pairs (column, text) of one row."""
        known = {
            self.value: row.returns,
            "normalized": "–" if row.normalized is None else f"{row.normalized:.3f}",
            "failed": percent(row.failures),
            "ended by the task": percent(row.terminated),
        }
        if row.kind == "group":
            return ((column, "") for column in self.columns)
        return ((column, row.more.get(column, known.get(column, ""))) for column in self.columns)


def metric_text(metric: Metric, metrics: Mapping[str, Any]) -> str:
    """The formatted value, e.g. 84.2 ± 0.3 or 97.1 %; text is unchanged."""
    if isinstance(text := metrics.get(metric.name), str):
        return text
    value = _number(metrics, metric.name)
    if value is None:
        return metric.absent
    if metric.share:
        return f"{100 * value:.1f} %"
    if isinstance(value, int):
        return count(value)
    return plus_minus(value, _number(metrics, metric.band)) if metric.band else number(value)


def metric_unit(metric: Metric, metrics: Mapping[str, Any]) -> str:
    """The unit of what `metric_text` shows: none of text or of a value that is absent."""
    found = metrics.get(metric.name)
    return "" if found is None or isinstance(found, str) else metric.unit


def metric_over_runs(metric: Metric, runs: Sequence[Mapping[str, Any]]) -> str:
    """The metric over several runs (`over_runs`), e.g. 84.2 (83.9 to 84.6), with the number of runs that have it, if
    not all."""
    if texts := dict.fromkeys(text for metrics in runs if isinstance(text := metrics.get(metric.name), str)):
        return ", ".join(texts)
    values = [value for metrics in runs if (value := _number(metrics, metric.name)) is not None]
    if not values:
        return metric.absent
    if len(values) < len(runs):
        return f"{len(values)} of {len(runs)}"
    return over_runs(values, lambda value: metric_text(Metric("", "", share=metric.share), {"": value}))


def _number(metrics: Mapping[str, Any], name: str) -> float | None:
    """The metric `name`; None if it is missing. Raises `InputError` for a value of another type."""
    value = metrics.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise problem(f"a number for {name} among a result's metrics", repr(value), "evaluate the run again")
    return value


def reading(value: float | None) -> str:
    """A formatted number; a dash for None."""
    return "–" if value is None else number(value)


def percent(share: float | None) -> str:
    """A percentage, e.g. 22%; a dash for None."""
    return "–" if share is None else f"{share:.0%}"


def plus_minus(mean: float | None, std: float | None) -> str:
    """Mean and standard deviation, e.g. 4,612 ± 88."""
    return reading(mean) if std is None else f"{reading(mean)} ± {number(std)}"


def count(steps: float) -> str:
    """A number of steps, e.g. 1.0 M, 250 k, 600."""
    if steps >= 1e6:
        return f"{steps / 1e6:,.1f} M"
    return f"{steps / 1e3:,.0f} k" if steps >= 1e4 else f"{steps:,.0f}"


ENDED_NOTE = "Ended by the task: before the time limit, by success or failure."
ALIKE = 0.01
"""Fraction of the scale's length by which two measurements of one reference may differ, e.g. on two machines."""


@dataclass(frozen=True)
class ScoreScale:
    """Returns of random actions and of the reference: lowest and highest of those in the results."""

    random: tuple[float, float] | None
    expert: tuple[float, float] | None
    references: tuple[Reference, ...]

    @classmethod
    def of(cls, results: Sequence[Returns]) -> Self:
        """The scale of `results`, all of one environment."""
        scored = [result for result in results if result.expert_return is not None]
        return cls(
            _range([result.random_return for result in results]),
            _range([result.expert_return for result in scored]),
            tuple(dict.fromkeys(result.reference for result in scored)),
        )

    @property
    def shared(self) -> bool:
        """Whether scores can be compared and averaged, because all results have the same references, if any."""
        if self.random is None or self.expert is None:
            return False
        length = abs(self.expert[1] - self.random[0])
        widest = max(self.random[1] - self.random[0], self.expert[1] - self.expert[0])
        return len(self.references) == 1 and widest <= ALIKE * length

    @property
    def name(self) -> str:
        """Name of the reference: demonstrations or expert."""
        return " or ".join(self.references)

    def lines(self) -> dict[str, float]:
        """The references that all results share, by name."""
        known = {self.name: self.expert, "random": self.random}
        return {name: _middle(ends) for name, ends in known.items() if ends and (self.shared or ends[0] == ends[1])}

    def score(self, result: Returns) -> float | None:
        """The normalized return; for a result without its own reference, by the shared scale of the others."""
        if result.normalised_return is not None or not self.shared:
            return result.normalised_return
        assert self.random is not None
        assert self.expert is not None
        return normalised_return(result.return_mean, _middle(self.random), _middle(self.expert))

    def failures(self, result: Returns) -> float | None:
        """The fraction of failed episodes; without an own reference, by the shared scale of the others."""
        if result.share_of_failures is not None or not self.shared or result.per_episode_returns is None:
            return result.share_of_failures
        assert self.expert is not None
        returns = np.array(result.per_episode_returns, dtype=np.float64)  # None (NaN in memory) reads as NaN
        return share_of_failures(returns, _middle(self.expert))


def scores_note(results: Sequence[Returns]) -> str:
    """The explanation of the columns "normalized" and "failed" of a table of `results`, if it has them, with a
    space."""
    scale = ScoreScale.of(results)
    if scale.expert is None:
        return ""
    name = scale.name
    note = f"Normalized: (return − random) / ({name} − random), 0 random and 1 {name}"
    if scale.references == ("demonstrations",):
        note += ", which began from other states than these episodes"
    note += ". "
    if scale.random is None:
        note = "Not normalized: no return of random actions is known. "
    elif len(results) > 1 and not scale.shared:
        note += "The runs were scored against different references, so their scores are not averaged. "
    if all(scale.failures(result) is None for result in results):
        return f"{note}No episode is called failed: half of a return that is not above 0 is no lower bar. "
    whose = RETURN_OF[scale.references[0]] if len(scale.references) == 1 else "the reference's return"
    return f"{note}Failed: episodes below half of {whose}. "


def written(reference: tuple[float, float]) -> str:
    """One number if all agree, else lowest to highest."""
    low, high = reference
    return number(_middle(reference)) if number(low) == number(high) else f"{number(low)} to {number(high)}"


def _middle(reference: tuple[float, float]) -> float:
    return sum(reference) / 2


def _range(values: Sequence[float | None]) -> tuple[float, float] | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None
