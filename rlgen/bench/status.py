"""How far a benchmark is: every cell's state, progress, worker and time left."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    share: float = 0.0
    """Share of the training that is done."""
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
    share, speed = done_of(folder.run_of(cell)) if is_run(folder.run_of(cell)) else (0.0, None)
    cost = cost_of(cell, measured)
    left = None if cost is None else cost.seconds * (1 - share)
    if speed and share >= KNOWN_FROM:  # its own speed is nearer than that of similar trainings
        left = float(RunFolder.open(folder.run_of(cell)).config["steps"]) * (1 - share) / speed
    failure = folder.failure(cell) if state == "failed" else None
    tail = tuple(failure.get("tail", ())) if failure else ()
    worker = leases.holder(cell.name) or "" if state == "running" else ""
    return Progress(cell=cell, state=state, worker=worker, share=share, speed=speed, left=left, tail=tail)


def done_of(run: Path) -> tuple[float, float | None]:
    """Share of a run's training that is done (0 if it is unknown), and its speed in steps or updates per second."""
    try:
        config, metrics = RunFolder.open(run).config, read_metrics(run)
    except InputError:  # just being written
        return 0.0, None
    steps = metrics.get("step")
    if steps is None or not len(steps):
        return 0.0, None
    clock = metrics.get("time/training_seconds")
    seconds = clock[clock == clock] if clock is not None else []
    speed = float(steps[-1]) / float(seconds[-1]) if len(seconds) and seconds[-1] > 0 else None
    total = config.get("steps")
    return (min(1.0, float(steps[-1]) / total) if total else 0.0), speed


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
            f"{each.share:.0%}",
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
