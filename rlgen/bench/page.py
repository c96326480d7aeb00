"""report.html of a benchmark: one page without external resources."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rlgen.bench.benchmark import Benchmark, Curves, name_of_run
from rlgen.bench.cells import setting_of
from rlgen.bench.figures import Strip, curves_figure, profile_figure, seeds_figure
from rlgen.bench.grid import Grid, without_tags
from rlgen.bench.guards import groups, guards
from rlgen.bench.protocol import Task, name_of
from rlgen.bench.references import EXPERT, RANDOM, reference_of
from rlgen.bench.rows import THEN, Row, by_seed
from rlgen.bench.summary import comparisons, over_tasks, scores_of, times
from rlgen.bench.table import DASH, Line, grid, lines, metric_note
from rlgen.reports.page import Fact, Figure, Lead, Media, Page, Section
from rlgen.reports.pictures import pictures
from rlgen.reports.tables import Row as PageRow
from rlgen.reports.tables import Table
from rlgen.runs.folder import RunFolder
from rlgen.runs.scores import middle_of_runs, over_runs_title
from rlgen.system.console import duration

VIDEOS = "videos"
"""Folder of the videos that are recorded for the page."""
SEEDS_NOTE = "Every dot is a seed; the bar is their mean, from five seeds on the interquartile mean."
CURVES_NOTE = (
    "The line is the mean of the seeds and the band reaches from the lowest to the highest, from five seeds on "
    "interquartile mean and quartiles; thin lines are the seeds."
)
PROFILE_NOTE = (
    "The higher the better: the fraction of the runs, over all tasks, with a normalized score above τ. "
    "Bands: pointwise 95 % intervals."
)


def page_of(benchmark: Benchmark) -> Page:
    """The page of the finished cells."""
    protocol, results = benchmark.protocol, benchmark.results
    tables = [over_tasks(protocol, results), comparisons(protocol, results), times(protocol, results)]
    across, against, until = (_section(each) for each in tables)
    copied = [grid(protocol, results, benchmark.planned), *(each for each in tables if each)]
    strips = [_strip(benchmark, key) for key in _settings(benchmark)]
    strips = [strip for strip in strips if strip.values]
    return Page(
        title=protocol.title,
        over="rlgen · benchmark",
        lead=Lead(before=_lead(benchmark)),
        facts=_facts(benchmark),
        sections=[
            *(_of_task(benchmark, task) for task in protocol.tasks),
            Section(title="What to know before trusting it", notes=guards(protocol, results, benchmark.planned)),
            Section(title="Every seed", figure=seeds_figure(protocol, strips) if strips else None, note=SEEDS_NOTE),
            across,
            Section(title="Performance profiles", figure=_profiles(benchmark), note=PROFILE_NOTE),
            against,
            *_curves(benchmark),
            until,
            Section(title="Policies", media=list(_media(benchmark))),
            Section(title="Tables to copy", copied=_to_copy(copied)),
        ],
    )


def _lead(benchmark: Benchmark) -> str:
    protocol, rows = benchmark.protocol, benchmark.results.rows
    tasks, agents = (len({row[name] for row in rows}) for name in ("task", "agent"))
    shown = f"{_many(agents, 'agent')} on {_many(tasks, 'task')}, by {metric_note(protocol.metric)}."
    if benchmark.planned is not None and len(rows) < benchmark.planned:
        return f"{len(rows)} of {benchmark.planned} cells are done so far. {shown}"
    return shown


def _many(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _facts(benchmark: Benchmark) -> list[Fact]:
    """Cards with the amounts of the benchmark."""
    rows = benchmark.results.rows
    seeds = sorted({row["seed"] for row in rows})
    seconds = sum(row["wall_seconds"] for row in rows if row.get("wall_seconds"))
    done = str(len(rows)) if benchmark.planned is None else f"{len(rows)} of {benchmark.planned}"
    listed = ", ".join(map(str, seeds)) if len(seeds) <= 10 else f"{seeds[0]} to {seeds[-1]}"
    machines = len({name for row in rows for name in str(row.get("machine")).split(THEN)})
    return [
        Fact("Cells", done, "done", _many(len({(r["task"], r["trajectories"], r["agent"]) for r in rows}), "row")),
        Fact("Seeds", str(len(seeds)), "", f"{'seed' if len(seeds) == 1 else 'seeds'} {listed}"),
        Fact("Training", duration(seconds), "", "sum over all cells"),
        Fact("Machines", str(machines), "", "speeds are comparable" if machines == 1 else "speeds are not compared"),
    ]


def _settings(benchmark: Benchmark) -> list[tuple[str, int | None]]:
    return list(dict.fromkeys(key[:2] for key, _ in groups(benchmark.protocol, benchmark.results)))


def _of_task(benchmark: Benchmark, task: Task) -> Section:
    """The table of a task; several numbers of trajectories are parts of it."""
    settings = [key for key in _settings(benchmark) if key[0] == name_of(task)]
    every = lines(benchmark.protocol, benchmark.results)
    title = benchmark.protocol.metric.title
    rows: list[PageRow] = []
    for key in settings:
        where = setting_of(*key)
        own = [_page_row(line) for line in every if line.task == where]
        if len(settings) > 1:
            rows.append(PageRow(name=where.partition(", ")[2] or "all trajectories", kind="group"))
        rows += [row for row in own if row.kind or row not in rows]  # a reference of several parts is one row
    sizes = [len(own) for key, own in groups(benchmark.protocol, benchmark.results) if key[0] == name_of(task)]
    legend = over_runs_title(sizes)
    note = f"{title}: {legend}. " if legend else ""
    scored = any(row.normalized is not None for row in rows)
    note += "Normalized: 0 random actions, 1 the expert or the demonstrations." if scored else ""
    used = {name for row in rows for name, text in row.more.items() if text}
    rows = [replace(row, more={name: text for name, text in row.more.items() if name in used}) for row in rows]
    return Section(title=name_of(task), table=Table(rows, value=title), note=note)


def _page_row(line: Line) -> PageRow:
    cells = {"seeds": line.seeds, "published": line.published, "minutes": line.minutes, "flags": line.flags}
    more = {name: text if text != DASH else "" for name, text in cells.items()}
    score = float(line.score) if line.score != DASH else None
    kind = "" if line.reference else "own"
    return PageRow(name=line.agent, returns=line.value, normalized=score, more=more, kind=kind)


def _section(table: Grid) -> Section:
    shown = table.without_empty_columns()
    return Section(title=table.title, table=shown.shown(), notes=table.notes if table.rows else ())


def _strip(benchmark: Benchmark, key: tuple[str, int | None]) -> Strip:
    protocol, results = benchmark.protocol, benchmark.results
    values = {agent: list(by_seed(results.of(*key, agent)).values()) for agent in protocol.agents}
    shown = {agent: own for agent, own in values.items() if own and protocol.metric_of(agent) == protocol.metric}
    return Strip(title=setting_of(*key), values=shown, references=_references(benchmark, key))


def _references(benchmark: Benchmark, key: tuple[str, int | None]) -> dict[str, float]:
    rows = [row for own, rows in groups(benchmark.protocol, benchmark.results) if own[:2] == key for row in rows]
    found = {kind: reference_of(benchmark.protocol, kind, rows) for kind in (RANDOM, EXPERT)}
    return {kind: value for kind, value in found.items() if value is not None}


def _profiles(benchmark: Benchmark) -> Figure | None:
    """The profiles of the agents with scores, if there are two tasks or more."""
    scores = scores_of(benchmark.protocol, benchmark.results)
    tasks = {task for own in scores.values() for task in own}
    return profile_figure(benchmark.protocol, scores) if len(tasks) > 1 else None


def _curves(benchmark: Benchmark) -> Iterator[Section]:
    """A figure of learning curves for each task."""
    of_returns = benchmark.protocol.metric.name == "return_mean"
    for task in benchmark.protocol.tasks:
        panels, horizontal = {}, {}
        for key in _settings(benchmark):
            curves = benchmark.curves(*key) if key[0] == name_of(task) else {}
            if curves:
                panels[setting_of(*key)] = curves
                lines_ = _references(benchmark, key) | _without_curve(benchmark, key, curves) if of_returns else {}
                threshold = {} if task.threshold is None else {"threshold": task.threshold}
                horizontal[setting_of(*key)] = lines_ | threshold
        if panels:
            figure = curves_figure(benchmark.protocol, panels, horizontal)
            yield Section(title=f"Learning curves: {name_of(task)}", figure=figure, note=CURVES_NOTE)


def _without_curve(benchmark: Benchmark, key: tuple[str, int | None], curves: Curves) -> dict[str, float]:
    """Final values of the agents without a learning curve, such as BC."""
    values = _strip(benchmark, key).values
    return {agent: middle_of_runs(own) for agent, own in values.items() if agent not in curves}


def shown_rows(benchmark: Benchmark) -> list[Row]:
    """The run of each task and agent whose policy the page shows: the first seed, of the most trajectories."""
    found: dict[tuple[str, str], Row] = {}
    for (task, _, agent), rows in groups(benchmark.protocol, benchmark.results):
        found[task, agent] = rows[0]
    return list(found.values())


def video_of(benchmark: Benchmark, row: Row) -> Path | None:
    """The video of a run, from its folder or from those recorded for the page."""
    run = benchmark.run_of(row)
    own = RunFolder.open(run).videos if run is not None else []
    kept = [benchmark.path / VIDEOS / f"{name_of_run(row)}{suffix}" for suffix in (".mp4", ".gif")]
    return next((path for path in [*own, *kept] if path.is_file()), None)


def _media(benchmark: Benchmark) -> Iterator[Media]:
    """Videos of final policies, or the pictures of image models."""
    for row in shown_rows(benchmark):
        caption = f"{setting_of(row['task'], row['trajectories'])}: {row['agent']}, seed {row['seed']}"
        video, run = video_of(benchmark, row), benchmark.run_of(row)
        if video is not None:
            yield Media.of(video, caption)
        elif run is not None:
            folder = RunFolder.open(run)
            for name in list(folder.display.pictures)[:1]:
                yield from (Media(source=each.source, alt=each.alt, caption=caption) for each in pictures(folder, name))


def _to_copy(tables: Sequence[Grid]) -> Mapping[str, str]:
    """The tables as Markdown and as LaTeX, by what the reader opens."""
    return {
        "Markdown": "\n".join(f"## {without_tags(each.title)}\n\n{each.markdown()}" for each in tables),
        "LaTeX (booktabs)": "\n".join(f"% {each.title}\n{each.without_empty_columns().latex()}" for each in tables),
    }
