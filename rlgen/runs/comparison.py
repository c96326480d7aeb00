"""Several runs beside each other: those that differ in nothing but the seed are one line with an interval."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlgen.errors import InputError
from rlgen.runs import report_page as html
from rlgen.runs.curve_data import RETURN
from rlgen.runs.curve_figure import curves_figure
from rlgen.runs.curve_panel import DARK, LIGHT
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import read_metrics
from rlgen.runs.report_page import Row
from rlgen.runs.result import Result
from rlgen.runs.run_groups import kin, shared_lines_note
from rlgen.runs.score_scale import ENDED_NOTE, ScoreScale, scores_note, written
from rlgen.runs.scores import middle_of_runs, over_runs
from rlgen.runs.visit_map import has_visits, visits_png
from rlgen.system.console import duration, number

log = logging.getLogger("rlgen")

MOST_FILMS, MOST_NAMED = 4, 4
SINGLE_NOTE = "Of one run ± is the standard deviation of its evaluation episodes."
VISITS_NOTE = "States in which training acted, from its beginning to its end; the colour counts on a logarithmic scale."


@dataclass(frozen=True)
class Group:
    """Runs of one experiment: same configuration, other seeds."""

    label: str
    env: str
    runs: tuple[RunFolder, ...]
    results: tuple[Result, ...]
    """Of the finished ones."""


def comparison(folders: Sequence[RunFolder], title: str = "") -> str:
    """The page that compares runs, one chapter for each environment."""
    groups = group_runs(folders)
    envs = list(dict.fromkeys(group.env for group in groups))
    runs = f"{len(folders)} run{'' if len(folders) == 1 else 's'}"
    title = title or _title(groups, envs)
    lead = shared_lines_note([len(group.results) for group in groups])
    body = [html.header(f"rlgen · {runs}", title, f"{lead} {SINGLE_NOTE}".strip())]
    for env in envs:
        chosen = [group for group in groups if group.env == env]
        names = [
            f"{env}: {name}" if len(envs) > 1 else name.capitalize()
            for name in ("returns", "training", "states visited", "policies")
        ]
        note = f"{scores_note(_results(chosen))}{ENDED_NOTE}"
        body += [
            html.section(names[0], _table(chosen), note),
            html.section(names[1], _curves(chosen)),
            html.section(names[2], visits_figure({group.label: group.runs for group in chosen}), VISITS_NOTE),
            html.section(names[3], _films(chosen)),
        ]
    return html.page(title, body)


def _title(groups: Sequence[Group], envs: Sequence[str]) -> str:
    """Agents and tasks by name, as far as that is short."""
    agents = list(dict.fromkeys(group.label for group in groups))
    names = _joined(agents) if len(agents) <= MOST_NAMED else f"{len(agents)} agents"
    return f"{names} on {_joined(envs) if len(envs) <= MOST_NAMED else f'{len(envs)} tasks'}"


def _joined(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def group_runs(folders: Sequence[RunFolder]) -> list[Group]:
    """Group by environment, agent and configuration, in the order given; labels name what tells groups apart."""
    return [
        Group(
            each.label,
            each.env,
            each.runs,
            tuple(Result.read(run) for run in each.runs if (run / "result.json").is_file()),
        )
        for each in kin(folders)
    ]


def _table(groups: Sequence[Group]) -> str:
    """Random, every group with its runs, and the reference."""
    every = _results(groups)
    scale = ScoreScale.of(every)
    lines = [row for group in groups for row in _group_rows(group, scale)]
    if scale.random is not None:
        lines.insert(0, Row(name="random", returns=written(scale.random), normalised=0.0 if scale.shared else None))
    if scale.expert is not None:
        at = 1.0 if scale.shared else None
        lines.append(Row(name=scale.name, returns=written(scale.expert), normalised=at))
    explored = any(result.cells_visited is not None for result in every)
    return html.returns_table(lines, ("steps", "training", *(("first reward", "cells visited") if explored else ())))


def _group_rows(group: Group, scale: ScoreScale) -> list[Row]:
    runs, done = len(group.runs), len(group.results)
    if not done:
        return [Row(name=group.label, returns="not finished", kind="own")]
    if runs == 1:
        return [_run_row(group.label, group.results[0], scale, "own")]
    scores = [score for result in group.results if (score := scale.score(result)) is not None]
    failures = [share for result in group.results if (share := scale.failures(result)) is not None]
    head = Row(
        name=f"{group.label} · {done} of {runs} seeds" if done < runs else f"{group.label} · {runs} seeds",
        returns=over_runs([result.return_mean for result in group.results], number),
        normalised=middle_of_runs(scores) if scores and scale.shared else None,
        failures=_mean(failures),
        terminated=_mean([result.terminated for result in group.results]),
        more=("", "", _rewarded(group.results)),
        kind="own",
    )
    return [head, *(_run_row(f"seed {result.seed}", result, scale, "part") for result in group.results)]


def _run_row(name: str, result: Result, scale: ScoreScale, kind: str) -> Row:
    return Row(
        name=name,
        returns=html.spread(result.return_mean, result.return_std),
        normalised=scale.score(result),
        failures=scale.failures(result),
        terminated=result.terminated,
        more=(html.count(result.env_steps), duration(result.wall_seconds), *_found(result)),
        kind=kind,
    )


def _rewarded(results: Sequence[Result]) -> str:
    """How many of several trainings were ever rewarded; nothing where that was not noted."""
    noted = [result.first_reward_step for result in results if result.cells_visited is not None]
    return f"{sum(step is not None for step in noted)} of {len(noted)}" if noted else ""


def _found(result: Result) -> tuple[str, ...]:
    """What exploring came to."""
    if result.cells_visited is None:
        return ()
    first = result.first_reward_step
    return "never" if first is None else html.count(first), f"{result.cells_visited:,}"


def _results(groups: Sequence[Group]) -> list[Result]:
    return [result for group in groups for result in group.results]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _curves(groups: Sequence[Group]) -> str:
    drawable = {group.label: group.runs for group in groups if any(read_metrics(run) for run in group.runs)}
    if not drawable:
        return ""
    references = ScoreScale.of(_results(groups)).lines()
    # An agent without a learning curve, such as cloning, is a level that the others rise above or not.
    for group in groups:
        curve = any(series.column(list(read_metrics(run))) for run in group.runs for series in RETURN.series)
        if not curve and group.results:
            references[group.label] = middle_of_runs([result.return_mean for result in group.results])
    return curves_figure(drawable, references)


def visits_figure(groups: Mapping[str, Sequence[RunFolder]]) -> str:
    """Where each group's trainings have been, side by side; nothing of those that did not count it, or where that
    cannot be drawn, which the log says."""
    counted = {label: [run for run in runs if has_visits(run)] for label, runs in groups.items()}
    drawable = {label: runs for label, runs in counted.items() if runs}
    if not drawable:
        return ""
    try:
        light, dark = (visits_png(drawable, theme) for theme in (LIGHT, DARK))
    except InputError as error:
        log.warning("no map of the states visited: %s", error)
        return ""
    return html.figure(light, dark, "Heat maps of the states visited")


def _films(groups: Sequence[Group]) -> str:
    films = []
    for group in groups:
        run = next((run for run in group.runs if run.videos), None)
        if run is not None:
            films.append(html.film(run.videos[0], f"{group.label}, seed {run.config.get('seed', '–')}"))
    return f'<div class="films">{"".join(films[:MOST_FILMS])}</div>' if films else ""
