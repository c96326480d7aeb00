"""Real clusters that lose a worker: Ray with two nodes, and submitit's local executor."""

import csv
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rlgen.bench.folder import BenchFolder
from rlgen.bench.local import run_workers
from rlgen.bench.ray_workers import run_on_ray
from rlgen.bench.results import finished, write_results
from rlgen.bench.slurm import SIGNAL, submit, wait_for

from .conftest import TINY, real_plan_of

CELLS = TINY.replace("steps = 64", "steps = 3000").partition("[agents.a2c]")[0] + "[figure]\ncurve = 'train/loss'\n"
OF_THE_MACHINE = ("wall_seconds", "peak_memory_mb", "env_steps_per_second")


def table_of(folder: BenchFolder) -> list[dict[str, str]]:
    """The rows of results.csv without what depends on the machine's speed."""
    write_results(folder, finished(folder))
    with (folder.path / "results.csv").open(newline="") as file:
        return [
            {name: text for name, text in row.items() if name not in OF_THE_MACHINE} for row in csv.DictReader(file)
        ]


def in_the_middle(folder: BenchFolder, cell: int) -> Callable[[], bool]:
    """Whether a cell's training has begun and reported."""
    metrics = folder.run_of(folder.plan.cells[cell]) / "metrics.csv"
    return lambda: metrics.is_file() and metrics.read_text().count("\n") > 2


def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def resumed(folder: BenchFolder) -> int:
    """Cells that were continued."""
    return sum('"time"' in (folder.run_of(cell) / "versions.json").read_text() for cell in folder.plan.cells)


def family_of(pid: int) -> list[int]:
    """The process and all that it has started, by /proc."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:  # ended meanwhile
            continue
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


@pytest.fixture
def two(tmp_path: Path) -> tuple[BenchFolder, BenchFolder]:
    """The same two cells in two folders."""
    plan = real_plan_of(CELLS)
    return BenchFolder.prepare(tmp_path / "a", CELLS, plan), BenchFolder.prepare(tmp_path / "b", CELLS, plan)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")
def test_when_a_node_of_ray_dies_every_cell_finishes_and_the_table_is_the_undisturbed_one(
    two: tuple[BenchFolder, BenchFolder],
) -> None:
    """Two nodes with a worker each. All processes of one get SIGKILL in the middle, its training too."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    disturbed, alone = two
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = cluster.add_node(num_cpus=1)
    killed = []

    def kill() -> None:
        until(in_the_middle(disturbed, 0))
        until(in_the_middle(disturbed, 1))
        killed.extend(family_of(node.all_processes["raylet"][0].process.pid))
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        run_on_ray(disturbed, 2, address=cluster.address, every=1)
    finally:
        killer.join()
        cluster.shutdown()
    assert len(killed) >= 3, "the node, its worker, the training"
    assert resumed(disturbed) == 1
    run_workers(alone, 1)
    assert table_of(disturbed) == table_of(alone)
    assert len(table_of(alone)) == 2


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_that_gets_the_signal_saves_returns_to_the_queue_and_gives_the_undisturbed_table(
    two: tuple[BenchFolder, BenchFolder],
) -> None:
    """By submitit's local executor, which starts a job of this queue again at once."""
    pytest.importorskip("submitit")
    disturbed, alone = two
    jobs = submit(disturbed, 1, cluster="local")
    until(in_the_middle(disturbed, 0))
    worker = family_of(jobs[0]._process.pid)[1]
    os.kill(worker, getattr(signal, f"SIG{SIGNAL}"))
    wait_for(jobs, disturbed, every=1)
    log = next((disturbed.path / "slurm").glob("*.out")).read_text()
    assert "Requeued job" in log
    assert resumed(disturbed) == 1
    run_workers(alone, 1)
    assert table_of(disturbed) == table_of(alone)
    assert len(table_of(alone)) == 2
