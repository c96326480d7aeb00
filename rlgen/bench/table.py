"""The table of a benchmark: a line per task and agent over its seeds, references, and reasons to doubt it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from statistics import mean, median

from rlgen.bench.cells import setting_of
from rlgen.bench.grid import Grid
from rlgen.bench.guards import flags_of, groups, guards, one_machine
from rlgen.bench.protocol import Column, Metric, Protocol
from rlgen.bench.references import EXPERT, RANDOM, reference_of
from rlgen.bench.rows import Results, Row, by_seed
from rlgen.runs.scores import middle_of_runs, over_runs, over_runs_title
from rlgen.system.console import number

SPEEDS = ("wall_seconds", "env_steps_per_second")
"""Columns that depend on the machine."""
DASH = "–"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the table, as texts."""

    task: str
    agent: str
    seeds: str = ""
    value: str
    each: str = ""
    """Value of each seed."""
    score: str = DASH
    published: str = DASH
    minutes: str = DASH
    flags: str = ""
    columns: tuple[str, ...] = ()
    """The protocol's further columns."""
    reference: bool = False
    """Whether it is random or expert, not an agent of the protocol."""

    @property
    def texts(self) -> tuple[str, ...]:
        return (*astuple(self)[:-2], *self.columns)


def titles(protocol: Protocol, results: Results) -> tuple[str, ...]:
    """Headings of the columns."""
    names = {protocol.metric_of(row["agent"]).title for row in results.rows}
    sizes = [len(rows) for _, rows in groups(protocol, results)]
    legend = over_runs_title(sizes)
    name = names.pop() if len(names) == 1 else "value"
    return (
        "task", "agent", "seeds", f"{name}{f': {legend}' if legend else ''}", "of each seed", "normalized", "published",
        "minutes", "flags", *(column.label or column.name for column in protocol.columns),
    )  # fmt: skip


def lines(protocol: Protocol, results: Results) -> list[Line]:
    """The table: each task with random, its agents and its expert."""
    found: list[Line] = []
    single = one_machine(results)
    grouped = groups(protocol, results)
    for task, trajectories in dict.fromkeys(key[:2] for key, _ in grouped):
        mine = [(key[2], rows) for key, rows in grouped if key[:2] == (task, trajectories)]
        everything = [row for _, rows in mine for row in rows]
        where = setting_of(task, trajectories)
        found += _reference(protocol, where, RANDOM, everything)
        found += [_line(protocol, where, agent, rows, single) for agent, rows in mine]
        found += _reference(protocol, where, EXPERT, everything)
    return found


def _line(protocol: Protocol, where: str, agent: str, rows: Sequence[Row], single: bool) -> Line:
    metric = protocol.metric_of(agent)
    values = list(by_seed(rows).values())
    write = writer_of(values)
    scores = list(by_seed(rows, "score").values())
    seconds = [row["wall_seconds"] for row in rows if row.get("wall_seconds")]
    prefix = f"{metric.title}: " if metric != protocol.metric else ""
    return Line(
        task=where,
        agent=agent,
        seeds=str(len(rows)) if len(values) == len(rows) else f"{len(values)} of {len(rows)}",
        value=f"{prefix}{over_runs(values, write)}" if values else DASH,
        each=", ".join(write(value) for value in values),
        score=f"{middle_of_runs(scores):.3f}" if scores else DASH,
        published=published_of(protocol, rows[0]),
        minutes=f"{mean(seconds) / 60:.1f}" if single and seconds else DASH,
        flags=", ".join(flags_of(protocol, protocol.agents[agent], rows)),
        columns=tuple(
            _over(column, rows) if single or column.name not in SPEEDS else DASH for column in protocol.columns
        ),
    )


def _over(column: Column, rows: Sequence[Row]) -> str:
    """A further column over the seeds of a line."""
    if column.over == "number":
        return str(sum(row.get(column.name) is not None for row in rows))
    found = list(by_seed(rows, column.name).values())
    if not found:
        return DASH
    write = writer_of(found)
    if column.over == "lowest":
        return write(min(found))
    if column.over == "median":
        return write(median(found)) + (f" ({write(min(found))} to {write(max(found))})" if len(found) > 1 else "")
    return write(middle_of_runs(found))


def _reference(protocol: Protocol, where: str, kind: str, rows: Sequence[Row]) -> Iterator[Line]:
    """The line of random actions or of the expert, where the runs or the protocol know it."""
    value = reference_of(protocol, kind, rows)
    if value is not None:
        scaled = all(reference_of(protocol, each, rows) is not None for each in (RANDOM, EXPERT))
        score = f"{0.0 if kind == RANDOM else 1.0:.3f}" if scaled else DASH
        blank = (DASH,) * len(protocol.columns)
        text = writer_of([value])(value)
        yield Line(task=where, agent=kind, value=text, score=score, columns=blank, reference=True)


def writer_of(values: Sequence[float]) -> Callable[[float], str]:
    """A function that writes all of these values with the same digits."""
    largest = max((abs(value) for value in values), default=0.0)
    digits = 0 if largest >= 1000 else 1 if largest >= 10 else 3
    return lambda value: f"{value:,.{digits}f}"


def published_of(protocol: Protocol, row: Row) -> str:
    """The published number of a row's task, trajectories and agent."""
    for entry in protocol.published:
        if (entry.task, entry.agent) == (row["task"], row["agent"]) and entry.trajectories in (
            None,
            row["trajectories"],
        ):
            return number(entry.value) if isinstance(entry.value, int | float) else str(entry.value)
    return DASH


def grid(protocol: Protocol, results: Results, planned: int | None = None) -> Grid:
    """The table with its guards and sources."""
    sources = dict.fromkeys(entry.source for entry in protocol.published if entry.source)
    notes = (*guards(protocol, results, planned), *(f"Published: {source}." for source in sources))
    rows = [line.texts for line in lines(protocol, results)]
    return Grid(title=protocol.title, head=titles(protocol, results), rows=rows, notes=notes)


def metric_note(metric: Metric) -> str:
    """Direction of a metric in words."""
    return f"{metric.title} ({'higher' if metric.better == 'high' else 'lower'} is better)"
