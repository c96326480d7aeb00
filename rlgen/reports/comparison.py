"""The page that compares several runs; runs that differ only in the seed are one line with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rlgen.display import Metric
from rlgen.errors import problem
from rlgen.reports.curves import curves_figure, has_returns, not_drawn_note
from rlgen.reports.page import Figure, Lead, Media, Page, Section, flat
from rlgen.reports.pictures import pictures
from rlgen.reports.tables import (
    ENDED_NOTE,
    Row,
    ScoreScale,
    Table,
    count,
    metric_over_runs,
    metric_text,
    plus_minus,
    scores_note,
    written,
)
from rlgen.reports.visits import VISITS_NOTE, visits_figure
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import read_metrics
from rlgen.runs.result import Result, Returns
from rlgen.runs.scores import middle_of_runs, over_runs, over_runs_title
from rlgen.system.console import duration, number

MOST_VIDEOS, MOST_NAMED = 4, 4
SINGLE_NOTE = "For a single run, ± is the standard deviation over its evaluation episodes."
FEATURES_NOTE = "Metrics of features are comparable only for the same feature extractor."
# Settings in which runs of one experiment may differ.
INCIDENTAL = {
    "seed", "out", "video", "device", "threads", "checkpoint_every", "evaluate_every", "log_every", "imports",
}  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Runs of one experiment: equal configurations except for the seed."""

    label: str
    """What distinguishes it from the other groups; unique within an environment."""
    env: str
    """Environment id; empty for models of data: images, texts or instructions."""
    runs: tuple[RunFolder, ...]

    @cached_property
    def results(self) -> list[Result]:
        """Results of the finished runs."""
        return [Result.read(run) for run in self.runs if (run / "result.json").is_file()]

    @property
    def returns(self) -> list[Returns]:
        """Metrics of the runs that have them."""
        return [result.returns for result in self.results if result.returns]


def group_runs(folders: Sequence[RunFolder]) -> list[Group]:
    """Group runs by environment, agent and configuration, in the given order; labels name the differences of the
    groups."""
    found: dict[str, list[RunFolder]] = {}
    for folder in folders:
        found.setdefault(repr(sorted(_identity(folder).items())), []).append(folder)
    kinds = [(runs[0].display.name, _identity(runs[0])) for runs in found.values()]
    groups: list[Group] = []
    for (name, identity), runs in zip(kinds, found.values(), strict=True):
        label, env = _label(name, identity, kinds), str(identity.get("env", ""))
        if any((label, env) == (other.label, other.env) for other in groups):
            label = f"{label}, {runs[0].path.name}"
        groups.append(Group(label, env, tuple(runs)))
    return groups


def _identity(folder: RunFolder) -> dict[str, Any]:
    """The configuration without the seed and the like, which is equal within one experiment."""
    return {name: str(value) for name, value in flat(folder.config).items() if name not in INCIDENTAL}


def _label(name: str, identity: dict[str, Any], everyone: Sequence[tuple[str, dict[str, Any]]]) -> str:
    """The agent, and the settings in which it differs from the same agent's other groups on that environment."""
    others = [other for its, other in everyone if (its, other.get("env")) == (name, identity.get("env"))]
    telling = [each for each in identity if any(other.get(each) != identity[each] for other in others)]
    # The last part of a path is enough to distinguish it.
    settings = [f"{each.rpartition('.')[2]} {identity[each].rpartition('/')[2]}" for each in telling[:3]]
    return ", ".join([name, *settings])


def comparison(folders: Sequence[RunFolder], title: str = "") -> Page:
    """The page that compares runs, one section per environment. Raises `InputError` for runs of both agents and
    models of data, such as images or texts, which have no common results."""
    groups = group_runs(folders)
    envs = list(dict.fromkeys(group.env for group in groups))
    if "" in envs and len(envs) > 1:
        images = sum(len(group.runs) for group in groups if not group.env)
        got = f"{images} of models of data and {len(folders) - images} of agents"
        raise problem("runs of one kind, whose results can be compared", got, "report the two kinds separately")
    shared = over_runs_title([len(group.runs if not group.env else group.results) for group in groups])
    lead = f"Runs that differ only in the seed share a line: {shared}. " if shared else ""
    return Page(
        title=title or _title(groups, envs),
        over=f"rlgen · {len(folders)} run{'' if len(folders) == 1 else 's'}",
        lead=Lead(before=f"{lead}{SINGLE_NOTE if any(envs) else FEATURES_NOTE}"),
        sections=[
            section
            for env in envs
            for section in _chapter([group for group in groups if group.env == env], env if len(envs) > 1 else "")
        ],
    )


def _chapter(groups: Sequence[Group], env: str) -> list[Section]:
    """The sections on the runs of one environment, which titles name if there are several."""

    def titled(name: str) -> str:
        return f"{env}: {name}" if env else name.capitalize()

    returns = _returns(groups)
    scale = ScoreScale.of(returns)
    note = f"{scores_note(returns)}{ENDED_NOTE}" if returns else ""
    name = next((name for group in groups for name in group.runs[0].display.pictures), "")
    return [
        Section(title=titled("returns" if groups[0].env else "metrics"), table=_table(groups, scale), note=note),
        Section(
            title=titled("training"),
            figure=_curves(groups, scale),
            note=not_drawn_note({group.label: group.runs for group in groups}),
        ),
        Section(
            title=titled("states visited"),
            figure=visits_figure({group.label: group.runs for group in groups}),
            note=VISITS_NOTE,
        ),
        Section(title=titled("policies"), media=_videos(groups)),
        *(
            Section(title=f"{name.capitalize()}: {group.label}", media=pictures(group.runs[0], name))
            for group in groups
            if name in group.runs[0].display.pictures
        ),
    ]


def _title(groups: Sequence[Group], envs: Sequence[str]) -> str:
    """The title: agents and tasks by name, or their number if there are many."""
    agents = list(dict.fromkeys(group.label for group in groups))
    names = _joined(agents) if len(agents) <= MOST_NAMED else f"{len(agents)} agents"
    if not any(envs):
        return f"{len(groups)} models of data"
    return f"{names} on {_joined(envs) if len(envs) <= MOST_NAMED else f'{len(envs)} tasks'}"


def _joined(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _table(groups: Sequence[Group], scale: ScoreScale) -> Table:
    """The table of random actions, every group with its runs, and the reference; it has a column for each displayed
    metric of any run."""
    results = [result for group in groups for result in group.results]
    declared = dict.fromkeys(metric for group in groups for metric in group.runs[0].display.results)
    shown = [metric for metric in declared if any(metric.name in result.metrics for result in results)]
    lines = [row for group in groups for row in _group_rows(group, scale, shown)]
    if scale.random is not None:
        lines.insert(0, Row(name="random", returns=written(scale.random), normalized=0.0 if scale.shared else None))
    if scale.expert is not None:
        at = 1.0 if scale.shared else None
        lines.append(Row(name=scale.name, returns=written(scale.expert), normalized=at))
    return Table(lines)


def _group_rows(group: Group, scale: ScoreScale, shown: Sequence[Metric]) -> list[Row]:
    runs, results = len(group.runs), group.results
    if not results:
        cell: dict[str, Any] = {"returns": "not finished"} if group.env else {"more": {"training": "not finished"}}
        return [Row(name=group.label, kind="own", **cell)]
    if runs == 1:
        return [_run_row(group.label, results[0], scale, shown, "own")]
    returns = group.returns
    scores = [score for each in returns if (score := scale.score(each)) is not None]
    head = Row(
        name=f"{group.label} · {len(results)} of {runs} seeds"
        if len(results) < runs
        else f"{group.label} · {runs} seeds",
        returns=over_runs([each.return_mean for each in returns], number) if returns else "",
        normalized=middle_of_runs(scores) if scores and scale.shared else None,
        failures=_mean([share for each in returns if (share := scale.failures(each)) is not None]),
        terminated=_mean([each.terminated for each in returns]),
        more={metric.label: metric_over_runs(metric, [result.metrics for result in results]) for metric in shown},
        kind="own",
    )
    return [head, *(_run_row(f"seed {result.seed}", result, scale, shown, "part") for result in results)]


def _run_row(name: str, result: Result, scale: ScoreScale, shown: Sequence[Metric], kind: str) -> Row:
    cells = {result.unit: count(result.steps), "training": duration(result.wall_seconds)}
    more = {metric.label: metric_text(metric, result.metrics) for metric in shown} | cells
    if result.returns is None:
        return Row(name=name, more=more, kind=kind)
    return Row(
        name=name,
        returns=plus_minus(result.returns.return_mean, result.returns.return_std),
        normalized=scale.score(result.returns),
        failures=scale.failures(result.returns),
        terminated=result.returns.terminated,
        more=more,
        kind=kind,
    )


def _returns(groups: Sequence[Group]) -> list[Returns]:
    return [returns for group in groups for returns in group.returns]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _curves(groups: Sequence[Group], scale: ScoreScale) -> Figure | None:
    drawable = {group.label: group.runs for group in groups if any(read_metrics(run) for run in group.runs)}
    if not drawable:
        return None
    references = scale.lines()
    # An agent without a learning curve, such as BC, is a horizontal line.
    for group in groups:
        if group.returns and not any(has_returns(run) for run in group.runs):
            references[group.label] = middle_of_runs([each.return_mean for each in group.returns])
    return curves_figure(drawable, references)


def _videos(groups: Sequence[Group]) -> list[Media]:
    media = []
    for group in groups:
        run = next((run for run in group.runs if run.videos), None)
        if run is not None:
            media.append(Media.of(run.videos[0], f"{group.label}, seed {run.config.get('seed', '–')}"))
    return media[:MOST_VIDEOS]
