"""Run folders: resumed, evaluated and reported."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from numpy.random import Generator

from rlgen.agents.commands.evaluate import Evaluate
from rlgen.agents.commands.report import Report
from rlgen.agents.commands.resume import Resume

from .run_damage import damage_names, damage_run
from .run_files import AGENTS, unfinish, write_run
from .short import short, stopped_soon, undrawn
from .subject import Subject

FINISHED = ("gail", "infogail", "vime", "vae", "text")


def _build(kind: str, folder: Path) -> None:
    with short(), undrawn():
        write_run(kind, folder)


READ_AT_ITS_END = (
    *("config.json", "result.json", "versions.json", "metrics.csv", "visits.npz", "policy.zip"),
    *("data.json", "model.json", "model.safetensors", "tokenizer.json"),
)


def _damage(rng: Generator, folder: Path) -> str:
    if rng.random() < 0.05:
        return damage_names(rng, folder / "run")
    return damage_run(rng, folder / "run", *READ_AT_ITS_END)


def _damage_unfinished(rng: Generator, folder: Path) -> str:
    unfinish(folder / "run", keep=int(rng.integers(1, 3)))
    return damage_run(rng, folder / "run")


def _damage_metrics(rng: Generator, folder: Path) -> str:
    return damage_run(rng, folder / "run", "metrics.csv", "visits.npz")


def _resume(folder: Path) -> None:
    with short(), stopped_soon(), undrawn():
        Resume(run_folder=folder / "run").run()


def _evaluate(folder: Path) -> None:
    with short():
        Evaluate(policy=folder / "run", out=folder / "numbers.json").run()


def _report(folder: Path) -> None:
    with undrawn():
        Report(runs=(folder / "run",)).run()


def _compare(folder: Path) -> None:
    with undrawn():
        Report(runs=(folder / "run", folder / "run"), out=folder / "both.html").run()


def _report_drawn(folder: Path) -> None:
    Report(runs=(folder / "run",)).run()


def _subjects() -> Iterator[Subject]:
    for kind in AGENTS:
        build = partial(_build, kind)
        yield Subject(name=f"resume-{kind}", example=kind, build=build, damage=_damage_unfinished, use=_resume)
        if kind in FINISHED:
            yield Subject(name=f"evaluate-{kind}", example=kind, build=build, damage=_damage, use=_evaluate)
            yield Subject(name=f"report-{kind}", example=kind, build=build, damage=_damage, use=_report, weight=0.3)
    drawn = {"example": "vime", "build": partial(_build, "vime"), "damage": _damage_metrics, "use": _report_drawn}
    yield Subject(name="draw", weight=0.1, **drawn)  # type: ignore[arg-type]
    yield Subject(
        name="compare", example="gail", build=partial(_build, "gail"), damage=_damage, use=_compare, weight=0.2
    )


RUNS = tuple(_subjects())
