"""How far a benchmark is: every cell's state, progress, worker and time left."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from rlgen.bench.cells import Cell
from rlgen.bench.estimate import Measured, cost_of, read_measurements
from rlgen.bench.folder import BenchFolder, State, is_run
from rlgen.bench.lease import Leases
from rlgen.bench.local import worker_name
from rlgen.errors import InputError
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import read_metrics
from rlgen.system.console import duration, number

EVERY = 30.0
"""Seconds between two lines about workers on other machines."""
COLORS = {"done": "green", "running": "cyan", "failed": "red", "stopped": "yellow", "waiting": "dim"}
SHOWN = 30
"""Cells of a long benchmark that are shown; those that matter first."""
KNOWN_FROM = 0.02
"""Share of a training from which its end is estimated by its own speed."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """A cell and how far it is."""

    cell: Cell
    state: State
    worker: str = ""
    share: float | None = 0.0
    """Share of the training that is done; None if it is not known."""
    speed: float | None = None
    """Steps or updates per second."""
    left: float | None = None
    """Seconds left, if known."""
    tail: tuple[str, ...] = ()
    """Last lines of the log of a failed cell."""


def progress_of(folder: BenchFolder, cell: Cell, leases: Leases, measured: Sequence[Measured]) -> Progress:
    """State and progress of a cell."""
    state = folder.state_of(cell, leases)
    if state == "done":
        return Progress(cell=cell, state=state, share=1.0, left=0.0)
    done = done_of(folder.run_of(cell)) if is_run(folder.run_of(cell)) else Done(share=0.0)
    cost = cost_of(cell, measured)
    left = None if cost is None else cost.seconds * (1 - (done.share or 0))
    if done.left is not None and (done.share or 0) >= KNOWN_FROM:
        left = done.left  # its own speed is nearer than that of similar trainings
    failure = folder.failure(cell) if state == "failed" else None
    tail = tuple(failure.get("tail", ())) if failure else ()
    worker = leases.holder(cell.name) or "" if state == "running" else ""
    return Progress(cell=cell, state=state, worker=worker, share=done.share, speed=done.speed, left=left, tail=tail)


@dataclass(frozen=True, kw_only=True)
class Done:
    """How far a training is, by its run folder."""

    share: float | None = None
    """Share that is done; None if it is not known."""
    speed: float | None = None
    """Steps or updates per second."""
    left: float | None = None
    """Seconds left at this speed."""


def done_of(run: Path) -> Done:
    """How far the training of a run is."""
    try:
        length, metrics = RunFolder.open(run).length, read_metrics(run)
    except InputError:  # just being written
        return Done()
    step, seconds = _last(metrics, "step"), _last(metrics, "time/training_seconds")
    speed = step / seconds if seconds > 0 else None
    if not length:
        return Done(speed=speed)
    left = max(0.0, length - step) / speed if speed else None
    return Done(share=min(1.0, step / length), speed=speed, left=left)


def _last(metrics: Mapping[str, np.ndarray], name: str) -> float:
    """The last number of a column; 0 without one."""
    known = [value for value in metrics.get(name, ()) if np.isfinite(value)]
    return float(known[-1]) if known else 0.0


def all_progress(folder: BenchFolder, leases: Leases) -> list[Progress]:
    """Progress of every cell of the plan."""
    measured = read_measurements()
    return [progress_of(folder, cell, leases, measured) for cell in folder.plan.cells]


def summary(found: Sequence[Progress]) -> str:
    """One sentence, e.g. "7 of 18 done, 2 running, 9 waiting; about 35 min left"."""
    counts = {
        state: sum(each.state == state for each in found) for state in ("running", "stopped", "failed", "waiting")
    }
    parts = [f"{sum(each.state == 'done' for each in found)} of {len(found)} done"]
    parts += [f"{count} {state}" for state, count in counts.items() if count]
    open_ = [each for each in found if each.state in ("running", "stopped", "waiting")]
    left = [each.left for each in open_ if each.left is not None]
    if open_ and len(left) == len(open_):
        at_once = max(1, counts["running"])
        parts[-1] += f"; about {duration(max(sum(left) / at_once, max(left)))} left"
    return ", ".join(parts)


def table(found: Sequence[Progress]) -> Group:
    """Tables for a terminal: the cells, and what failed."""
    order: list[State] = ["running", "failed", "stopped", "waiting", "done"]
    shown = sorted(found, key=lambda each: order.index(each.state))[:SHOWN]
    grid = Table(title=summary(found), title_justify="left")
    for title in ("cell", "state", "done", "speed", "left", "worker"):
        grid.add_column(
            title, justify="right" if title in ("done", "speed", "left") else "left", no_wrap=title == "cell"
        )
    for each in shown:
        grid.add_row(
            each.cell.name,
            Text(each.state, style=COLORS[each.state]),
            "–" if each.share is None else f"{each.share:.0%}",
            "" if each.speed is None else f"{number(each.speed)}/s",
            "" if not each.left or each.state == "failed" else duration(each.left),
            each.worker,
        )
    more = [Text(f"… and {len(found) - len(shown)} more")] if len(found) > len(shown) else []
    tails = [
        Text(f"\n{each.cell.name} failed:\n" + "\n".join(f"  {line}" for line in each.tail))
        for each in found
        if each.state == "failed"
    ]
    return Group(grid, *more, *tails)


def is_over(found: Sequence[Progress]) -> bool:
    """Whether nothing is left to train."""
    return all(each.state in ("done", "failed") for each in found)


def follow(
    folder: BenchFolder, say: Callable[[str], None], over: Callable[[float], bool], every: float = EVERY
) -> None:
    """Say how far the benchmark is whenever that has changed. `over`: function that waits some seconds at most and
    returns whether the workers have ended."""
    leases, before = folder.leases(worker_name()), ""
    ended = False
    while not ended:
        ended = over(every)
        text = summary(all_progress(folder, leases))
        if text != before:
            say(text)
        before = text
