"""report.html: one self-contained page on a run, or a comparison of several."""

import os
from collections.abc import Sequence
from pathlib import Path

from rlgen.errors import problem
from rlgen.reports.comparison import comparison
from rlgen.reports.curves import curves_figure, not_drawn_note, references_of
from rlgen.reports.instructions import instruction_sections
from rlgen.reports.page import Fact, Figure, Lead, Media, Page, Section, entries
from rlgen.reports.pictures import pictures
from rlgen.reports.tables import (
    ENDED_NOTE,
    Row,
    Table,
    count,
    metric_text,
    metric_unit,
    percent,
    plus_minus,
    reading,
    scores_note,
)
from rlgen.reports.visits import VISITS_NOTE, visits_figure
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import read_metrics
from rlgen.runs.result import Result, Returns
from rlgen.runs.scores import normalised_return
from rlgen.system.console import duration, number
from rlgen.system.files import atomic_write, make_parent

Folder = str | os.PathLike[str]
MOST_SHOWN = 100_000
"""Bytes of a text that a page shows."""


def write_report(
    runs: Folder | Sequence[Folder], path: Folder | None = None, *, rows: Sequence[Row] = (), title: str = ""
) -> Path:
    """Write the page of one run (its report.html) or a comparison of several. Returns its path.

    `rows`: further lines for the table of one run, between random and the agent, e.g. behavioral cloning. `title`:
    heading of a comparison. The page of an unfinished run has what exists so far. Raises `InputError` for a folder
    without a run.
    """
    if isinstance(runs, str | os.PathLike):
        folder = _opened(runs)
        page, path = run_page(folder, rows), folder / "report.html" if path is None else path
    else:
        folders = [_opened(run) for run in runs]
        if not folders:
            raise problem("at least one run folder", "none", "name the runs to report")
        if path is None:
            raise problem("a file for the report of several runs", "no path", "give one, such as comparison.html")
        page = comparison(folders, title)
    make_parent(Path(path))
    atomic_write(path, page.html())
    return Path(path)


def _opened(run: Folder) -> RunFolder:
    return run if isinstance(run, RunFolder) else RunFolder.open(run)


def run_page(folder: RunFolder, rows: Sequence[Row] = ()) -> Page:
    """The page of one run."""
    result = Result.read(folder) if (folder / "result.json").is_file() else None
    returns = result.returns if result else None
    versions = folder.versions if (folder / "versions.json").is_file() else {}
    known = {name: value for name, value in (result.metrics if result else {}).items() if value is not None}
    warnings, missing = ([known.pop(name)] if name in known else [] for name in ("warning", "not_measured"))
    return Page(
        title=title_of(folder, result),
        over=" · ".join(["rlgen", *([f"seed {folder.config['seed']}"] if "seed" in folder.config else [])]),
        lead=headline(folder, result) if result else _unfinished(folder),
        facts=_facts(folder, result) if result else (),
        sections=[
            Section(title="Warning", notes=warnings),
            Section(title="Not measured", notes=missing),
            *([Section(title="Returns", table=_table(folder, returns, rows), note=_note(returns))] if returns else []),
            *instruction_sections(folder),
            *(
                Section(title=name.capitalize(), media=pictures(folder, name), note=caption)
                for name, caption in folder.display.pictures.items()
            ),
            *(
                Section(title=name.capitalize(), text=_text(folder / f"{name}.txt"), note=caption)
                for name, caption in folder.display.texts.items()
            ),
            Section(title="The policy", media=_videos(folder)),
            Section(title="Training", figure=_curves(folder), note=not_drawn_note({"": [folder]})),
            Section(title="States visited", figure=visits_figure({"": [folder]}), note=VISITS_NOTE),
            Section(title="Metrics", entries=entries(known)),
            Section(title="Configuration", entries=entries(folder.config)),
            Section(title="Versions", entries=entries({**versions.pop("packages", {}), **versions})),
        ],
    )


def title_of(folder: RunFolder, result: Result | None = None) -> str:
    """The title, e.g. "GAIL on Ant-v5" or "VAE of digits"."""
    data = (result.metrics if result else {}).get("data", folder.config.get("data"))
    name, env = folder.display.name, folder.config.get("env")
    return f"{name} on {env}" if env else f"{name} of {data}" if data else name


def headline(folder: RunFolder, result: Result) -> Lead:
    """One sentence with the result, its score and the amount of training."""
    device, work = result.device.partition(" ")[0], f"after {_work(result)} "
    ending = f"in {duration(result.wall_seconds)} on {device}."
    if result.returns is None:
        shown = next((metric for metric in folder.display.results if metric.name in result.metrics), None)
        reached = metric_text(shown, result.metrics) if shown else ""
        unit = f" {shown.unit or shown.label} " if shown else ""
        return Lead(strong=reached, after=f"{unit}{work}{ending}")
    if not result.env_steps:
        work = f"after {_work(result)} and without a step in the environment, "
    score = result.returns.normalised_return
    share = f" (normalized score {score:.2f})" if score is not None else ""
    reached = plus_minus(result.returns.return_mean, result.returns.return_std)
    return Lead(before="Reaches ", strong=reached, after=f"{share} {work}{ending}")


def _unfinished(folder: RunFolder) -> Lead:
    steps = read_metrics(folder).get("step")
    unit = "updates" if any(panel.steps == "updates" for panel in folder.display.panels[:1]) else "steps"
    done = f"{count(max(steps))} {unit} so far" if steps is not None and len(steps) else "nothing measured yet"
    return Lead(before=f"Not finished: {done}. Continue with ", command=f"rlgen resume {folder.path}")


def _work(result: Result) -> str:
    """The amount of training, e.g. "1.0 M steps"."""
    return f"{count(result.steps)} steps" if result.unit == "steps" else f"{result.steps:,} {result.unit}"


def _facts(folder: RunFolder, result: Result) -> list[Fact]:
    memory = "" if result.peak_memory_mb is None else f"{result.peak_memory_mb:,.0f} MiB at most"
    took = duration(result.wall_seconds)
    rate = "" if result.steps_per_second is None else f", {number(result.steps_per_second)} {result.unit}/s"
    speed = Fact("Training", took, "", f"{_work(result)}{rate}")
    if result.env_steps:
        speed = Fact("Speed", reading(result.steps_per_second), "steps/s", f"{_work(result)} in {took}")
    found = [
        Fact(
            metric.label[:1].upper() + metric.label[1:],
            metric_text(metric, result.metrics),
            metric_unit(metric, result.metrics),
        )
        for metric in folder.display.results
        if metric.name in result.metrics
    ]
    scores, episodes = _scores(result.returns), _episodes(result.returns)
    return [*scores, *found, *episodes, speed, Fact("Machine", result.device.partition(" ")[0], "", memory)]


def _scores(returns: Returns | None) -> list[Fact]:
    if returns is None:
        return []
    plus_minus_std, lowest = f"± {reading(returns.return_std)}", f"lowest {reading(returns.return_min)}"
    facts = [Fact("Return", reading(returns.return_mean), plus_minus_std, lowest)]
    if returns.normalised_return is not None:
        facts.append(Fact("Normalized", f"{returns.normalised_return:.3f}", "", f"0 random, 1 {returns.reference}"))
    if returns.share_of_failures is not None:
        facts.append(Fact("Failed", percent(returns.share_of_failures), "", f"below half of the {returns.reference}"))
    return facts


def _episodes(returns: Returns | None) -> list[Fact]:
    if returns is None:
        return []
    return [
        Fact("Ended by the task", percent(returns.terminated), "", f"of {returns.episodes} episodes"),
        Fact("Episode", number(returns.episode_length_mean), "steps", "mean length"),
    ]


def _table(folder: RunFolder, returns: Returns, rows: Sequence[Row]) -> Table:
    lines, scored = [], returns.normalised_return is not None
    if returns.random_return is not None:
        lines.append(Row(name="random", returns=number(returns.random_return), normalized=0.0 if scored else None))
    own = Row(
        name=folder.display.name,
        returns=plus_minus(returns.return_mean, returns.return_std),
        normalized=returns.normalised_return,
        failures=returns.share_of_failures,
        terminated=returns.terminated,
        kind="own",
    )
    lines += [*rows, own]
    for name, (mean, std) in returns.parts.items():
        score = normalised_return(mean, returns.random_return, returns.expert_return)
        lines.append(Row(name=name, returns=plus_minus(mean, std), normalized=score, kind="part"))
    if returns.expert_return is not None:
        top = 1.0 if scored else None
        lines.append(Row(name=returns.reference, returns=number(returns.expert_return), normalized=top))
    return Table(lines)


def _note(returns: Returns) -> str:
    stepped = f"Stepped by {returns.backend or 'an unnamed backend'}"
    if returns.backend == "warp":
        stepped = "Trained on MuJoCo Warp, played here on C MuJoCo"
    parts = "Its code is drawn for each episode; then each is played as often. " if returns.parts else ""
    return (
        f"Mean ± standard deviation over {returns.episodes} episodes of the deterministic policy, seed "
        f"{returns.evaluation_seed}. {parts}{scores_note([returns])}{ENDED_NOTE} "
        f"{stepped}, contact margins {returns.margin_rule}."
    )


def _videos(folder: RunFolder) -> list[Media]:
    task = folder.config.get("env", "its task")
    ways = [(path, path.stem.removeprefix("video").replace("_", " ")) for path in folder.videos]
    return [
        Media.of(path, f"The trained policy{way and f' under{way}'} on {task}, at its own speed") for path, way in ways
    ]


def _text(path: Path) -> str:
    """The first `MOST_SHOWN` bytes of a text file; empty without one."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(MOST_SHOWN).decode(errors="replace")


def _curves(folder: RunFolder) -> Figure | None:
    return curves_figure({"": [folder]}, references_of(folder)) if read_metrics(folder) else None
