"""The table of a benchmark: a line per task and agent over its seeds, references, and reasons to doubt it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from statistics import mean, median

from rlgen.bench.cells import setting_of
from rlgen.bench.grid import Grid
from rlgen.bench.protocol import Agent, Column, Metric, Protocol, name_of
from rlgen.bench.results import Results, Row
from rlgen.runs.scores import middle_of_runs, over_runs, over_runs_title
from rlgen.system.console import number

RANDOM, EXPERT = "random", "expert"
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


def groups(protocol: Protocol, results: Results) -> list[tuple[tuple[str, int | None, str], list[Row]]]:
    """The rows by (task, trajectories, agent), in the protocol's order."""
    found = []
    for task in [name_of(task) for task in protocol.tasks]:
        numbers = {row["trajectories"] for row in results.rows if row["task"] == task}
        for trajectories in sorted(numbers, key=lambda each: (each is not None, each or 0)):
            for agent in protocol.agents:
                if rows := results.of(task, trajectories, agent):
                    found.append(((task, trajectories, agent), rows))
    return found


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
    values = [row["value"] for row in rows if row["value"] is not None]
    write = writer_of(values)
    scores = [row["score"] for row in rows if row.get("score") is not None]
    seconds = [row["wall_seconds"] for row in rows if row.get("wall_seconds")]
    prefix = f"{metric.title}: " if metric != protocol.metric else ""
    return Line(
        task=where,
        agent=agent,
        seeds=str(len(rows)),
        value=f"{prefix}{over_runs(values, write)}" if values else DASH,
        each=", ".join(write(value) for value in values),
        score=f"{middle_of_runs(scores):.3f}" if scores else DASH,
        published=published_of(protocol, rows[0]),
        minutes=f"{mean(seconds) / 60:.1f}" if single and seconds else DASH,
        flags=", ".join(flags_of(protocol, protocol.agents[agent], rows)),
        columns=tuple(_over(column, rows) for column in protocol.columns),
    )


def _over(column: Column, rows: Sequence[Row]) -> str:
    """A further column over the seeds of a line."""
    found = [row[column.name] for row in rows if row.get(column.name) is not None]
    if column.over == "number":
        return str(len(found))
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
        score = f"{0.0 if kind == RANDOM else 1.0:.3f}"
        blank = (DASH,) * len(protocol.columns)
        text = writer_of([value])(value)
        yield Line(task=where, agent=kind, value=text, score=score, columns=blank, reference=True)


def reference_of(protocol: Protocol, kind: str, rows: Sequence[Row]) -> float | None:
    """Value of random actions or of the expert on the task of `rows`: what the runs measured, else the protocol's."""
    task = next(task for task in protocol.tasks if name_of(task) == rows[0]["task"])
    measured = [row[f"{kind}_return"] for row in rows if row.get(f"{kind}_return") is not None]
    if protocol.metric.name == "return_mean" and measured:
        return mean(measured)
    return task.random if kind == RANDOM else task.expert


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


def flags_of(protocol: Protocol, agent: Agent, rows: Sequence[Row]) -> list[str]:
    """Caveats of a line: those that the protocol declares, and seeds on which settings were chosen."""
    tuned = sorted({row["seed"] for row in rows} & set(protocol.tuned_on))
    own = [f"tuned on seed{'s' if len(tuned) > 1 else ''} {', '.join(map(str, tuned))}"] if tuned else []
    return list(dict.fromkeys([*agent.flags, *own]))


def one_machine(results: Results) -> bool:
    """Whether all rows come from one machine, so that their speeds can be compared."""
    return len({row.get("machine") for row in results.rows}) <= 1


def guards(protocol: Protocol, results: Results, planned: int | None = None) -> list[str]:
    """What a reader must know to trust the table, or to doubt it. `planned`: number of cells of the plan."""
    rows = results.rows
    found = []
    if planned is not None and len(rows) < planned:
        found.append(f"**Unfinished**: {len(rows)} of {planned} cells.")
    found += list(_of_policies(protocol, rows))
    found.append(_seeds(protocol, rows))
    goals = [f"{name} {agent.goal}" for name, agent in protocol.agents.items() if agent.goal]
    found += [f"Goals that were set before the runs: {'; '.join(goals)}."] if goals else []
    flagged = sorted({flag for _, each in groups(protocol, results) for flag in _flags(protocol, each)})
    found += [f"**Flagged**: {flag}." for flag in flagged]
    if not one_machine(results):
        names = sorted({str(row.get("machine")) for row in rows})
        found.append(f"**Machines mixed**, so no speeds: {'; '.join(names)}.")
    versions = sorted({str(row["rlgen"]) for row in rows if row.get("rlgen")})
    rules = sorted({str(row["margin_rule"]) for row in rows if row.get("margin_rule")})
    parts = [f"rlgen {', '.join(versions)}"] if versions else []
    parts += [f"contact margins {', '.join(rules)}"] if rules else []
    if parts:
        found.append(f"{'; '.join(parts)}.")
    return found


def _flags(protocol: Protocol, rows: Sequence[Row]) -> list[str]:
    return [f"{rows[0]['agent']}: {flag}" for flag in flags_of(protocol, protocol.agents[rows[0]["agent"]], rows)]


def _of_policies(protocol: Protocol, rows: Sequence[Row]) -> Iterator[str]:
    """Sentences on the evaluation of policies, and on the references that are there or missing."""
    played = [row for row in rows if row.get("evaluation_seed") is not None]
    if not played:
        return
    episodes = sorted({row["episodes"] for row in played if row.get("episodes")})
    seeds = sorted({row["evaluation_seed"] for row in played})
    shared = sorted({row["seed"] for row in played} & set(seeds))
    apart = f"**also trained on**: {shared}" if shared else "apart from the trainings'"
    counts = " to ".join(str(each) for each in dict.fromkeys([episodes[0], episodes[-1]])) if episodes else "?"
    first = "Evaluated while training; then the" if protocol.metric.take != "result" else "The"
    yield (
        f"{first} final policy, not the best, plays {counts} episodes from evaluation seed "
        f"{', '.join(map(str, seeds))}, {apart}."
    )
    present = {
        "random": any(row.get("random_return") is not None for row in played),
        "BC": any(protocol.agents[row["agent"]].command == "train bc" for row in played),
        "expert": any(row.get("expert_return") is not None for row in played),
    }
    imitates = any(task.demos for task in protocol.tasks)
    wanted = present if imitates else {"random": present["random"]}
    missing = [name for name, there in wanted.items() if not there]
    yield f"**Missing rows**: {', '.join(missing)}." if missing else f"Further rows: {', '.join(wanted)}."


def _seeds(protocol: Protocol, rows: Sequence[Row]) -> str:
    seeds = sorted({row["seed"] for row in rows})
    parts = ", ".join(map(str, seeds)) or "none"
    if not protocol.tuned_on:
        return f"Training seeds {parts}; the protocol names no seeds on which settings were chosen."
    return f"Training seeds {parts}; settings were chosen on {', '.join(map(str, protocol.tuned_on))}."


def grid(protocol: Protocol, results: Results, planned: int | None = None) -> Grid:
    """The table with its guards and sources."""
    sources = dict.fromkeys(entry.source for entry in protocol.published if entry.source)
    notes = (*guards(protocol, results, planned), *(f"Published: {source}." for source in sources))
    rows = [line.texts for line in lines(protocol, results)]
    return Grid(title=protocol.title, head=titles(protocol, results), rows=rows, notes=notes)


def metric_note(metric: Metric) -> str:
    """Direction of a metric in words."""
    return f"{metric.title} ({'higher' if metric.better == 'high' else 'lower'} is better)"
