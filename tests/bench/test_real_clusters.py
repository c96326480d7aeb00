"""Real clusters that lose a worker: Ray with two nodes, and submitit's local executor."""

import contextlib
import csv
import ctypes
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from rlgen.bench.cells import Cell
from rlgen.bench.folder import BenchFolder
from rlgen.bench.local import run_workers
from rlgen.bench.ray_workers import run_on_ray
from rlgen.bench.results import finished, write_results
from rlgen.bench.slurm import SIGNAL, submit, wait_for
from rlgen.runs.checkpoint import list_checkpoints
from rlgen.runs.metrics import same_metrics

from .conftest import real_plan_of

# An environment that is saved mid-episode: its training goes on bit for bit, in the middle of an episode of 100 steps.
# Every return is 0, so that the table compares losses.
CELLS = """
title = "PPO on a car"
seeds = [0, 1]

[options]
device = "cpu"
steps = 4000
checkpoint-every = 0
evaluate-every = 0
episodes = 1
n-envs = 2
"learner.n-steps" = 64
"learner.batch-size" = 64
"learner.n-epochs" = 1
"learner.hidden" = 8
env-kwargs = { max_episode_steps = 100 }

[metric]
name = "train/loss"
take = "last"
label = "loss"

[[tasks]]
env = "rlgen/SparseMountainCar-v0"

[agents.ppo]
command = "train rl"

[figure]
curve = "train/loss"
"""
Found = TypeVar("Found")
PR_SET_CHILD_SUBREAPER = 36  # of Linux' prctl
ROUND = 128
"""Environment steps between two checkpoints."""
OF_THE_MACHINE = ("wall_seconds", "peak_memory_mb", "env_steps_per_second")


def table_of(folder: BenchFolder) -> list[dict[str, str]]:
    """The rows of results.csv without what depends on the machine's speed."""
    write_results(folder, finished(folder))
    with (folder.path / "results.csv").open(newline="") as file:
        return [
            {name: text for name, text in row.items() if name not in OF_THE_MACHINE} for row in csv.DictReader(file)
        ]


def require_equal(disturbed: BenchFolder, alone: BenchFolder) -> None:
    """Both folders have the same table of two different cells, and the same curves bit for bit."""
    table = table_of(alone)
    assert len({row["value"] for row in table}) == 2
    assert table_of(disturbed) == table
    for cell in alone.plan.cells:
        assert same_metrics(disturbed.run_of(cell), alone.run_of(cell)), cell.name


def saved_step(folder: BenchFolder, cell: Cell) -> int:
    """Step of the cell's newest checkpoint, 0 if it has none."""
    found = list_checkpoints(folder.run_of(cell))
    return int(found[0].name.partition(".")[0]) if found else 0


def resumed_steps(folder: BenchFolder) -> dict[str, list[int]]:
    """Steps from which cells were continued, by the cell's id."""
    steps = {
        cell.id: re.findall(r"continuing from step ([\d,]+)", folder.log_of(cell).read_text())
        for cell in folder.plan.cells
    }
    return {cell: [int(step.replace(",", "")) for step in found] for cell, found in steps.items() if found}


def until(condition: Callable[[], Found], seconds: float = 240) -> Found:
    """What the condition returns as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def family_of(pid: int) -> list[int]:
    """The process and all that it has started and that have not ended, by /proc."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, *_ = path.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        if state != "Z":
            parents[int(path.parent.name)] = int(parent)
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def kill_all(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # ended meanwhile
            os.kill(pid, signal.SIGKILL)


def trained_by(folder: BenchFolder, pids: list[int]) -> Cell | None:
    """The cell that one of the processes trains."""
    cells = {cell.id: cell for cell in folder.plan.cells}
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:  # ended meanwhile
            continue
        if "--cell" in words:
            return cells[words[words.index("--cell") + 1]]
    return None


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> BenchFolder:
    """The two cells, trained by a worker that nothing disturbs."""
    path = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(path / "cache"))
        folder = BenchFolder.prepare(path / "bench", CELLS, real_plan_of(CELLS))
        run_workers(folder, 1)
    return folder


@pytest.fixture
def disturbed(tmp_path: Path) -> Iterator[BenchFolder]:
    """The same two cells. No process that the test starts is left."""
    prctl, before = ctypes.CDLL(None).prctl, family_of(os.getpid())
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # a process whose parent is killed becomes this one's child

    def left() -> set[int]:
        return set(family_of(os.getpid())) - set(before)

    yield BenchFolder.prepare(tmp_path / "bench", CELLS, real_plan_of(CELLS))
    try:
        until(lambda: not left(), 30)
    finally:
        kill_all(left())
        prctl(PR_SET_CHILD_SUBREAPER, 0)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")
def test_when_a_node_of_ray_dies_every_cell_finishes_and_the_table_is_the_undisturbed_one(
    disturbed: BenchFolder, alone: BenchFolder
) -> None:
    """Two nodes with a worker each. All processes of one get SIGKILL in the middle, its training too."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    raylet = cluster.add_node(num_cpus=1).all_processes["raylet"][0].process.pid
    killed: dict[str, int] = {}

    def kill() -> None:
        cell = until(lambda: trained_by(disturbed, family_of(raylet)))
        assert cell is not None
        killed[cell.id] = until(lambda: saved_step(disturbed, cell))
        kill_all(family_of(raylet))

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        run_on_ray(disturbed, 2, address=cluster.address, every=1)
    finally:
        killer.join()
        cluster.shutdown()
    [(cell, [step])] = resumed_steps(disturbed).items()
    assert ROUND <= killed[cell] <= step < 4000
    require_equal(disturbed, alone)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_that_gets_the_signal_saves_returns_to_the_queue_and_gives_the_undisturbed_table(
    disturbed: BenchFolder, alone: BenchFolder
) -> None:
    """By submitit's local executor, which starts a job of this queue again at once."""
    pytest.importorskip("submitit")
    first = disturbed.plan.cells[0]
    [job] = submit(disturbed, 1, cluster="local")
    until(lambda: saved_step(disturbed, first))
    worker = family_of(int(job.job_id))[1]
    os.kill(worker, getattr(signal, f"SIG{SIGNAL}"))
    wait_for([job], disturbed, every=1)
    job.wait()  # its cells are done, but its processes may not have ended
    assert "Requeued job" in next((disturbed.path / "slurm").glob("*.out")).read_text()
    [(cell, [step])] = resumed_steps(disturbed).items()
    assert cell == first.id
    assert ROUND <= step < 4000
    require_equal(disturbed, alone)
