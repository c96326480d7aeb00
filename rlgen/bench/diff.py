"""Two benchmarks compared row by row: what became better or worse, e.g. between two versions."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rlgen.bench.benchmark import Benchmark
from rlgen.bench.cells import setting_of
from rlgen.bench.grid import Grid
from rlgen.bench.protocol import Metric, name_of
from rlgen.bench.rows import Row, Seeds, by_seed
from rlgen.bench.statistics import Estimate
from rlgen.bench.statistics_comparison import difference, holm, p_value
from rlgen.bench.summary import SIGNIFICANT, direction, p_text, seeds_text, written
from rlgen.bench.table import writer_of
from rlgen.errors import problem
from rlgen.runs.scores import ENOUGH_FOR_INTERVAL, over_runs

Key = tuple[str, int | None, str]
"""Task, trajectories and agent."""
Verdict = Literal["better", "worse", "no difference shown"]
CONDITIONS = {
    "rlgen": "rlgen", "margin_rule": "contact margins", "machine": "machine", "steps": "lengths of the trainings",
    "episodes": "numbers of episodes", "evaluation_seed": "evaluation seeds",
}  # fmt: skip
"""Column of results.csv → what it is, where A and B should be equal."""
RULE = (
    "Verdict: worse if all seeds of B are below all seeds of A, which equal agents do at most once in 20 times (three "
    f"seeds of each); or if, from {ENOUGH_FOR_INTERVAL} seeds on, the interval excludes 0 and p (Holm) is below "
    f"{SIGNIFICANT}. Better: the reverse. Else no difference is shown, which does not show that there is none."
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One row in both benchmarks."""

    key: Key
    metric: Metric
    before: Seeds
    after: Seeds
    difference: Estimate
    """B − A in the metric's unit: of interquartile means, or of means for fewer than five seeds."""
    paired: bool
    p: float | None
    p_holm: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Whether B is better or worse, by `RULE`."""
        rise = direction(self.metric) * self.difference.value
        shown = self._apart or (self._excludes_zero and self.p_holm is not None and self.p_holm < SIGNIFICANT)
        return ("better" if rise > 0 else "worse") if shown and rise else "no difference shown"

    @property
    def _apart(self) -> bool:
        """Whether all seeds of one lie above all of the other, and equal agents do so at most once in 20 times."""
        chance = 1 / math.comb(len(self.before) + len(self.after), len(self.before))
        low, high = sorted((self.before.values(), self.after.values()), key=max)
        return chance <= SIGNIFICANT and max(low) < min(high)

    @property
    def _excludes_zero(self) -> bool:
        interval = self.difference.interval
        return interval is not None and not interval[0] <= 0 <= interval[1]


def changes(a: Benchmark, b: Benchmark) -> list[Change]:
    """Every row that both have. Raises `InputError` if they share none, or if a row's metrics differ."""
    before, after = _rows(a), _rows(b)
    shared = [key for key in before if key in after]
    if not shared and not set(before) & set(_expected(b)):
        got = f"{len(before)} rows in {a.path}, {len(after)} in {b.path}, and none in both"
        raise problem("a row (task, trajectories, agent) with results in both", got, "compare runs of one protocol")
    found = [_change(a, b, key, before[key], after[key]) for key in shared]
    corrected = iter(holm([each.p for each in found if each.p is not None]))
    return [each if each.p is None else replace(each, p_holm=next(corrected)) for each in found]


def _change(a: Benchmark, b: Benchmark, key: Key, before: Seeds, after: Seeds) -> Change:
    metric = a.protocol.metric_of(key[2])
    _require_same(metric, b.protocol.metric_of(key[2]), key)
    enough = min(len(before), len(after)) >= ENOUGH_FOR_INTERVAL
    apart = difference({"": after}, {"": before}, "iqm" if enough else "mean")
    p = p_value(after, before) if enough else None
    paired = set(before) == set(after)
    return Change(key=key, metric=metric, before=before, after=after, difference=apart, paired=paired, p=p)


def _require_same(metric: Metric, other: Metric, key: Key) -> None:
    if (metric.name, metric.take, metric.better) != (other.name, other.take, other.better):
        ours, theirs = (f"{each.name} ({each.take}, {each.better} is better)" for each in (metric, other))
        where = f"{setting_of(*key[:2])}, agent {key[2]}"
        raise problem(f"the metric {ours} in both, for {where}", theirs, "evaluate both by the same metric")


def _rows(benchmark: Benchmark) -> dict[Key, Seeds]:
    """The values of each row that has some, by seed, ordered by task, trajectories and the protocol's agents."""
    grouped: dict[Key, list[Row]] = {}
    for row in benchmark.results.rows:
        grouped.setdefault((row["task"], row["trajectories"], row["agent"]), []).append(row)
    order = list(benchmark.protocol.agents)
    keys = sorted(grouped, key=lambda key: (key[0], key[1] or 0, order.index(key[2]) if key[2] in order else 0))
    return {key: seeds for key in keys if (seeds := by_seed(grouped[key]))}


def lost(a: Benchmark, b: Benchmark) -> list[str]:
    """What A has a value of and B lacks although it is to have it, in words: a version that diverges or fails has no
    values that could be worse."""
    before, after, without = _rows(a), _rows(b), _expected(b)
    tasks = [name_of(task) for task in b.protocol.tasks]
    found = []
    for key, seeds in before.items():
        wanted = without.get(key, set(seeds) if key[0] in tasks and key[2] in b.protocol.agents else set())
        missing = [str(seed) for seed in seeds if seed in wanted and seed not in after.get(key, {})]
        if missing:
            found.append(f"{setting_of(*key[:2])}, {key[2]}: seed {', '.join(missing)}")
    return found


def _expected(benchmark: Benchmark) -> dict[Key, set[int]]:
    """The seeds of each row that are finished or planned."""
    found: dict[Key, set[int]] = {}
    for row in benchmark.results.rows:
        found.setdefault((row["task"], row["trajectories"], row["agent"]), set()).add(row["seed"])
    for cell in () if benchmark.folder is None else benchmark.folder.plan.cells:
        found.setdefault(cell.row, set()).add(cell.seed)
    return found


def report(a: Benchmark, b: Benchmark, found: Sequence[Change]) -> Grid:
    """The regression report: a line for each row of both, and what else differs."""
    head = ("task", "agent", "A", "B", "B − A", "p (Holm)", "seeds", "verdict")
    return Grid(title="A and B", head=head, rows=[_line(each) for each in found], notes=tuple(_notes(a, b, found)))


def _line(change: Change) -> tuple[str, ...]:
    before, after = list(change.before.values()), list(change.after.values())
    write = writer_of([*before, *after])
    verdict = change.verdict if change.verdict == "no difference shown" else f"**{change.verdict}**"
    sign = "+" if change.difference.value > 0 else ""
    return (
        setting_of(*change.key[:2]),
        change.key[2],
        over_runs(before, write),
        over_runs(after, write),
        f"{sign}{written(change.difference)}",
        p_text(change.p_holm),
        seeds_text(change.before, change.after, change.paired),
        verdict,
    )


def _notes(a: Benchmark, b: Benchmark, found: Sequence[Change]) -> Iterator[str]:
    yield f"A: {a.path}. B: {b.path}."
    yield RULE
    lower = sorted({each.metric.title for each in found if each.metric.better == "low"})
    if lower:
        yield f"Lower is better for {', '.join(lower)}: there, read below as above."
    yield "[95 % intervals] from five seeds on; the same seeds are compared as pairs."
    if gone := lost(a, b):
        yield f"**Without a value in B**, which counts as worse: {'; '.join(gone)}."
    yield from _conditions(a, b)
    for name, own, other in (("A", a, b), ("B", b, a)):
        alone = [f"{setting_of(*key[:2])}, {key[2]}" for key in _rows(own) if key not in _rows(other)]
        if alone:
            yield f"Only in {name}: {'; '.join(alone)}."


def _conditions(a: Benchmark, b: Benchmark) -> Iterator[str]:
    """Sentences on conditions that differ: version, margin rule, machine, settings."""
    for column, what in CONDITIONS.items():
        before, after = (_values(each, column) for each in (a, b))
        if before != after:
            ours, theirs = (" and ".join(each) or "unknown" for each in (before, after))
            yield f"**Different {what}**: {ours} in A, {theirs} in B."
    agents = b.protocol.agents
    changed = [name for name, agent in a.protocol.agents.items() if name in agents and agents[name] != agent]
    tasks = {name_of(task): task for task in b.protocol.tasks}
    changed += [name_of(task) for task in a.protocol.tasks if tasks.get(name_of(task), task) != task]
    if a.protocol.options != b.protocol.options:
        changed.insert(0, "every cell")
    if changed:
        yield f"**Different settings** in the protocols, of {', '.join(changed)}."


def _values(benchmark: Benchmark, column: str) -> list[str]:
    return sorted({str(row[column]) for row in benchmark.results.rows if row.get(column) not in (None, "")})
