"""`rlgen bench plan | run | work`: benchmarks as files, on one machine or many."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from rlgen.errors import InputError, problem

from .bench_clusters import Cluster
from .bench_planning import data_folder, path_of, planned, prepared, require_inputs

log = logging.getLogger("rlgen")


Suite = Positional[Annotated[str, arg(metavar="SUITE")]]


@dataclass(frozen=True, kw_only=True)
class BenchPlan:
    """Show what a benchmark would run: its cells, core-hours, memory and disk."""

    suite: Suite
    """Shipped suite (gail-2016, sparse-exploration, image-mnist, imitation-one-shot), or a protocol file."""
    quick: bool = False
    """The quick form, of minutes, with the seeds of the protocol's [quick], by default seed 0 alone."""
    tasks: tuple[str, ...] = ()
    """Tasks of the protocol to run, in addition to what the folder plans already; by default all."""
    agents: tuple[str, ...] = ()
    """Agents of the protocol to run, in addition to what the folder plans already; by default all."""
    data: Path | None = None
    """Folder of demonstrations and images; by default RLGEN_DATA, else the protocol's own folder."""
    out: Path | None = None
    """Folder to prepare for `rlgen bench work`; by default nothing is written."""
    measure: bool = False
    """Training of a minute of each agent on each task that was never measured on this machine, to know its speed."""

    def run(self) -> None:
        text, plan, others = planned(self.suite, self.quick, self.data, self.tasks, self.agents)
        if self.measure:
            measure_unknown(plan)
        if self.out is not None:
            require_inputs(plan)
            self.out.mkdir(parents=True, exist_ok=True)
            with coordinating(self.out):
                prepared(self.out, text, plan, others)
        print_plan(plan)


def print_plan(plan: Any) -> None:
    """Print the cells and their cost."""
    from rich.table import Table

    from rlgen.bench.estimate import cost_of, read_measurements, total
    from rlgen.bench.identity import absent_inputs
    from rlgen.system.console import Console, duration

    measured = read_measurements()
    grid = Table(title=f"{len(plan.cells)} cells", title_justify="left")
    for title in ("cell", "identity", "time", "memory"):
        grid.add_column(title, justify="right" if title in ("time", "memory") else "left", no_wrap=True)
    for cell in plan.cells:
        cost = cost_of(cell, measured)
        time = "–" if cost is None else duration(cost.seconds)
        memory = "–" if cost is None or cost.memory_mb is None else f"{cost.memory_mb:,.0f} MiB"
        grid.add_row(cell.name.rpartition("-")[0], cell.id, time, memory)
    console = Console()
    console.print(grid)
    whole = total(plan.cells, measured)
    known = len(plan.cells) - len(whole.unknown)
    if known:
        memory = "" if whole.memory_mb is None else f", at most {whole.memory_mb:,.0f} MiB of memory each"
        costs = f"{whole.hours:.2f} core-hours{memory} and {whole.disk_mb:,.0f} MiB of disk"
        said = f"{known} of {len(plan.cells)} cells take {costs}"
        console.print(f"{said}, by what such trainings took on this machine.")
    if whole.unknown:
        unknown = f"{len(whole.unknown)} of {len(plan.cells)} cells"
        console.print(f"Never measured here: {unknown}; --measure trains a minute of each kind.")
    for name in absent_inputs(plan.cells):
        after = "the identities of its cells change when it is, because they have its contents"
        console.print(f"{name} is not on this disk (rlgen demos fetch {name}); {after}.", soft_wrap=True)


def measure_unknown(plan: Any) -> None:
    """Measure the cost of the cells without a measurement, in a temporary folder."""
    from rlgen.bench.estimate import read_measurements, subject_of, total
    from rlgen.bench.measure import measure

    unknown = total(plan.cells, read_measurements()).unknown
    kinds = {(cell.agent, subject_of(cell), cell.trajectories): cell for cell in reversed(unknown)}
    for number, cell in enumerate(kinds.values(), 1):
        log.info("measuring %s, %d of %d", cell.name, number, len(kinds))
        try:
            measure(cell, path_of(plan.data))
        except InputError as error:  # the others can still be measured
            log.warning("not measured: %s", error)


@dataclass(frozen=True, kw_only=True)
class BenchRun(Cluster):
    """Run a benchmark: train every cell that is not done, then write results.csv, table.md and report.html.

    It may be interrupted and started again; a cell that is done is never trained twice, a stopped one is resumed, and a
    changed setting makes a new cell. Other machines join by `rlgen bench work DIR`.
    """

    everyday: ClassVar[tuple[str, ...]] = ("suite", "out", "quick", "tasks", "agents", "jobs", "data", "on")
    """Options that the short help shows."""

    suite: Suite
    """Shipped suite (gail-2016, sparse-exploration, image-mnist, imitation-one-shot), or a protocol file."""
    out: Path
    """Folder of the benchmark; new, empty, or of an earlier run."""
    quick: bool = False
    """The quick form, of minutes, with the seeds of the protocol's [quick], by default seed 0 alone."""
    tasks: tuple[str, ...] = ()
    """Tasks of the protocol to run, in addition to what the folder plans already; by default all."""
    agents: tuple[str, ...] = ()
    """Agents of the protocol to run, in addition to what the folder plans already; by default all."""
    jobs: int = 1
    """Trainings at a time; each gets its share of the cores, one thread, and one GPU in turn."""
    data: Path | None = None
    """Folder of demonstrations and images; by default RLGEN_DATA, else the protocol's own folder."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.jobs < 1:
            raise problem("jobs of at least 1", str(self.jobs), "leave it out for one")

    def run(self) -> int:
        text, plan, others = planned(self.suite, self.quick, self.data, self.tasks, self.agents)
        require_inputs(plan)
        self.out.mkdir(parents=True, exist_ok=True)
        with coordinating(self.out):
            folder = prepared(self.out, text, plan, others)
            again = folder.forget_failures(plan.cells)
            if again:
                log.info("trying %d failed cells again", again)
            data = data_folder(self.data) or path_of(plan.data)
            ended = self.train(folder, self.jobs, data, partial(report_line, folder))
            return concluded(folder) if ended else 0


@contextmanager
def coordinating(out: Path) -> Iterator[None]:
    """Lock the folder of a benchmark. Raises `InputError` while another `rlgen bench run` uses it."""
    from rlgen.system.files import locked

    try:
        lock = ExitStack()
        lock.enter_context(locked(out))
    except InputError as error:
        remedy = f"wait for it, or add workers to it: rlgen bench work {out}"
        raise problem(f"{out} without another `rlgen bench run`", "one that is still running", remedy) from error
    with lock:
        yield


def report_line(folder: Any, line: str) -> None:
    """Log what a worker reports, and after every cell how far the benchmark is."""
    from rlgen.bench.local import worker_name
    from rlgen.bench.status import all_progress, summary

    log.info(line)
    if line.startswith(("done", "failed")):
        log.info(summary(all_progress(folder, folder.leases(worker_name()))))


def concluded(folder: Any) -> int:
    """Write and print the results. Returns the exit code: 1 if a cell failed, or was stopped."""
    from .bench_results import reported

    print(reported(folder.path, folder))
    failed = [cell for cell in folder.plan.cells if folder.failure(cell) is not None]
    for cell in failed:
        log.warning("failed: %s (%s)", cell.name, folder.log_of(cell))
    return 1 if failed or left_over(folder) else 0


def left_over(folder: Any) -> bool:
    """Whether trainings were stopped before all cells were done, which is logged."""
    left = len(folder.current().unfinished())
    if left:
        log.warning("a training was stopped from outside: %d cells are left; the same command continues", left)
    return bool(left)


@dataclass(frozen=True, kw_only=True)
class BenchWork:
    """Work on a benchmark's folder, as one of any number of workers on any number of machines that see the folder."""

    folder: Positional[Path]
    """Folder of the benchmark, made by `rlgen bench run` or `rlgen bench plan --out`."""
    jobs: int = 1
    """Trainings at a time on this machine."""
    data: Path | None = None
    """Folder of demonstrations and images on this machine; by default RLGEN_DATA, else the plan's."""

    def run(self) -> int:
        from rlgen.bench.local import work_on

        folder = work_on(self.folder, self.jobs, data=data_folder(self.data), say=log.info)
        return 1 if left_over(folder) else 0
