"""report.html: one page about a run, or about several beside each other, that needs no other file."""

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from rlgen.errors import problem
from rlgen.runs import report_page as html
from rlgen.runs.comparison import VISITS_NOTE, comparison, visits_figure
from rlgen.runs.curve_figure import curves_figure
from rlgen.runs.curves import references_of
from rlgen.runs.folder import RunFolder
from rlgen.runs.image_comparison import image_comparison
from rlgen.runs.image_report import image_page, is_image_run
from rlgen.runs.metrics import read_metrics
from rlgen.runs.report_page import Row
from rlgen.runs.result import Result
from rlgen.runs.score_scale import ENDED_NOTE, scores_note
from rlgen.runs.scores import normalised_return
from rlgen.system.atomic import atomic_write
from rlgen.system.console import duration, number

Folder = str | os.PathLike[str]


def write_report(
    runs: Folder | Sequence[Folder], path: Folder | None = None, *, rows: Sequence[Row] = (), title: str = ""
) -> Path:
    """Write the page of one run (its report.html) or the comparison of several, and return its path.

    `rows`: further lines for the table of one run, between random and the agent, e.g. behavioural cloning. `title`: of
    a comparison. A run that is not finished is reported as far as it is. Raises `InputError` where there is no run.
    """
    if isinstance(runs, str | os.PathLike):
        folder = RunFolder.open(runs)
        text = image_page(folder) if is_image_run(folder) else run_page(folder, rows)
        path = folder / "report.html" if path is None else path
    else:
        folders = [RunFolder.open(run) for run in runs]
        if not folders:
            raise problem("at least one run folder", "none", "name the runs to report")
        if path is None:
            raise problem("a file for the report of several runs", "no path", "give one, such as comparison.html")
        text = _comparison(folders, title)
    atomic_write(path, text)
    return Path(path)


def _comparison(folders: Sequence[RunFolder], title: str) -> str:
    images = [folder for folder in folders if is_image_run(folder)]
    if images and len(images) < len(folders):
        came = f"{len(images)} of images and {len(folders) - len(images)} of agents"
        raise problem("runs of one kind, whose results can be compared", came, "report the two kinds apart")
    return image_comparison(folders, title) if images else comparison(folders, title)


def run_page(folder: RunFolder, rows: Sequence[Row] = ()) -> str:
    """The page of one run."""
    finished = (folder / "result.json").is_file()
    result = Result.read(folder) if finished else None
    env = str(folder.config.get("env", ""))
    title = f"{folder.agent_name} on {env}" if env else folder.agent_name
    over = " · ".join(["rlgen", *([f"seed {folder.config['seed']}"] if "seed" in folder.config else [])])
    body = [
        html.header(over, title, headline(result) if result else _unfinished(folder)),
        _facts(result) if result else "",
        html.section("Returns", _table(folder, result, rows), _table_note(result)) if result else "",
        html.section("The policy", _film(folder, result)),
        html.section("Training", _curves(folder)),
        html.section("States visited", visits_figure({"": [folder]}), VISITS_NOTE),
        html.section("Configuration", html.entries(folder.config)),
        html.section("Versions", html.entries(_versions(folder))),
    ]
    return html.page(title, body)


def headline(result: Result) -> str:
    """One sentence, as HTML: what was reached, which score that is, after how much."""
    share = f" (normalised score {result.normalised_return:.2f})" if result.normalised_return is not None else ""
    found = ""
    if result.cells_visited is not None:
        first = result.first_reward_step
        found = " Never rewarded in training."
        if first is not None:
            found = f" Rewarded for the first time after {html.count(first)} steps."
    work = f"after {html.count(result.env_steps)} steps "
    if not result.env_steps:
        work = f"after {_work(result)} and without a step in the environment, "
    device = result.device.partition(" ")[0]
    return (
        f"Reaches <b>{escape(html.spread(result.return_mean, result.return_std))}</b>{share} "
        f"{work}in {duration(result.wall_seconds)} on {escape(device)}.{found}"
    )


def _unfinished(folder: RunFolder) -> str:
    steps = read_metrics(folder).get("step")
    done = f"{html.count(max(steps))} steps so far" if steps is not None and len(steps) else "nothing measured yet"
    resume = f"rlgen resume {folder.path}"
    return f"Not finished: {done}. Continue with <code>{escape(resume)}</code>."


def _facts(result: Result) -> str:
    memory = "" if result.peak_memory_mb is None else f"{result.peak_memory_mb:,.0f} MiB at most"
    score = "–" if result.normalised_return is None else f"{result.normalised_return:.3f}"
    facts = [
        ("Return", html.reading(result.return_mean), f"± {html.reading(result.return_std)}",
         f"lowest {html.reading(result.return_min)}"),
        ("Normalised", score, "", f"0 random, 1 {result.reference}"),
        ("Failed", html.percent(result.share_of_failures), "", f"below half of the {result.reference}"),
        *_found(result),
        ("Ended by the task", html.percent(result.terminated), "", f"of {result.episodes} episodes"),
        ("Episode", number(result.episode_length_mean), "steps", "mean length"),
        _speed(result),
        ("Machine", result.device.partition(" ")[0], "", memory),
    ]  # fmt: skip
    unknown = {"Normalised": result.normalised_return is None, "Failed": result.share_of_failures is None}
    return html.facts([fact for fact in facts if not unknown.get(fact[0])])


def _speed(result: Result) -> tuple[str, str, str, str]:
    """Steps per second; of cloning, which steps nothing, its gradient steps."""
    took = f"{_work(result)} in {duration(result.wall_seconds)}"
    if result.env_steps:
        return "Speed", html.reading(result.env_steps_per_second), "steps/s", took
    return "Training", duration(result.wall_seconds), "", _work(result)


def _work(result: Result) -> str:
    """What the training consisted of."""
    if result.env_steps or result.updates is None:
        return f"{html.count(result.env_steps)} steps"
    return f"{result.updates:,} updates"


def _found(result: Result) -> list[tuple[str, str, str, str]]:
    """What exploring came to."""
    if result.cells_visited is None:
        return []
    first = result.first_reward_step
    reward = ("never", "") if first is None else (html.count(first), "steps")
    return [
        ("First reward", *reward, "in training"),
        ("Visited", f"{result.cells_visited:,}", "cells", "of the state grid, in training"),
    ]


def _table(folder: RunFolder, result: Result, rows: Sequence[Row]) -> str:
    lines = []
    scored = result.normalised_return is not None
    if result.random_return is not None:
        normalised = 0.0 if scored else None
        lines.append(Row(name="random", returns=number(result.random_return), normalised=normalised))
    lines += rows
    own = html.spread(result.return_mean, result.return_std)
    lines.append(
        Row(
            name=folder.agent_name,
            returns=own,
            normalised=result.normalised_return,
            failures=result.share_of_failures,
            terminated=result.terminated,
            kind="own",
        )
    )
    for code, (mean, std) in enumerate(result.returns_by_code()):
        normalised = normalised_return(mean, result.random_return, result.expert_return)
        lines.append(Row(name=f"code {code}", returns=html.spread(mean, std), normalised=normalised, kind="part"))
    if result.expert_return is not None:
        top = 1.0 if scored else None
        lines.append(Row(name=result.reference, returns=number(result.expert_return), normalised=top))
    return html.returns_table(lines)


def _table_note(result: Result | None) -> str:
    if result is None:
        return ""
    scale = scores_note([result])
    stepped = f"Stepped by {result.backend or 'an unnamed backend'}"
    if result.backend == "warp":
        stepped = "Trained on MuJoCo Warp, played here on C MuJoCo"
    codes = "Its code is drawn for each episode; then each is played as often. " if result.returns_by_code() else ""
    return (
        f"Mean ± standard deviation over {result.episodes} episodes of the deterministic policy, seed "
        f"{result.evaluation_seed}. {codes}{scale}{ENDED_NOTE} "
        f"{stepped}, contact margins {result.margin_rule}."
    )


def _film(folder: RunFolder, result: Result | None) -> str:
    task = result.env if result else "its task"
    films = []
    for path in folder.videos:
        code = path.stem.removeprefix("video").replace("_", " ")
        films.append(html.film(path, f"The trained policy{code and f' under{code}'} on {task}, at its own speed"))
    return "".join(films) if len(films) < 2 else f'<div class="films">{"".join(films)}</div>'


def _curves(folder: RunFolder) -> str:
    if not read_metrics(folder):
        return ""
    return curves_figure({"": [folder]}, references_of(folder))


def _versions(folder: RunFolder) -> dict[str, object]:
    path = folder / "versions.json"
    versions = folder.versions if path.is_file() else {}
    return {**versions.pop("packages", {}), **versions}
