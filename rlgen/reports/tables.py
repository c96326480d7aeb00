"""The table of results, and the format of its numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlgen.display import Metric
from rlgen.errors import problem
from rlgen.runs.scores import over_runs
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
    """Style of the line: "own" is emphasized, "part" is dimmed."""

    @property
    def bar(self) -> str:
        """Length of the bar in percent."""
        return f"{100 * min(1.0, max(0.0, self.normalized or 0.0)):.1f}"


@dataclass(frozen=True)
class Table:
    """A table with name, return and, if any row has them, normalized return with its bar, failed, ended by the task,
    and further columns. On a narrow page each row is a block with the column's name in every cell."""

    rows: Sequence[Row]

    @property
    def scaled(self) -> bool:
        """Whether rows have bars."""
        return any(row.normalized is not None for row in self.rows)

    @property
    def columns(self) -> list[str]:
        played = any(row.returns for row in self.rows)
        failed = any(row.failures is not None for row in self.rows)
        known = {"return": played, "normalized": self.scaled, "failed": failed, "ended by the task": played}
        return [
            *(name for name, shown in known.items() if shown),
            *dict.fromkeys(k for row in self.rows for k in row.more),
        ]

    def cells(self, row: Row) -> Iterator[tuple[str, str]]:
        """Pairs (column, text) of one row."""
        known = {
            "return": row.returns,
            "normalized": "–" if row.normalized is None else f"{row.normalized:.3f}",
            "failed": percent(row.failures),
            "ended by the task": percent(row.terminated),
        }
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
