"""Workers train every cell once, go on with what another left, and stop without losing anything."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rlgen.bench import worker as module
from rlgen.bench.cells import Cell
from rlgen.bench.folder import BenchFolder, require_same_rlgen
from rlgen.bench.lease import Lease
from rlgen.bench.local import run_workers, slots
from rlgen.bench.worker import Worker
from rlgen.errors import InputError
from rlgen.runs.folder import RunFolder

from .conftest import TINY, plan_of, real_plan_of


def finish(folder: BenchFolder, cell: Cell) -> None:
    run = RunFolder.create(folder.run_of(cell), {"agent": "rl", "seed": cell.seed})
    (run / "result.json").write_text('{"agent": "rl", "seed": 0, "steps": 1, "wall_seconds": 1.0}')


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Trainings take no time: names of the cells that were trained."""
    done: list[str] = []

    def process(
        self: Worker, cell: Cell, arguments: Sequence[str], lease: Lease, planned: Sequence[str]
    ) -> tuple[str, int]:
        done.append(cell.name)
        finish(self.folder, cell)
        return "done", 0

    monkeypatch.setattr(Worker, "_process", process)
    return done


def test_every_cell_is_trained_once_by_several_workers_and_never_again(tiny: BenchFolder, trained: list[str]) -> None:
    run_workers(tiny, 3)
    assert sorted(trained) == sorted(cell.name for cell in tiny.plan.cells)
    run_workers(tiny, 2)
    assert len(trained) == len(tiny.plan.cells)


def test_a_failed_cell_is_left_until_it_is_tried_again(
    tiny: BenchFolder, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, working = tiny.plan.cells[1], Worker._process

    def process(
        self: Worker, cell: Cell, arguments: Sequence[str], lease: Lease, planned: Sequence[str]
    ) -> tuple[Any, int]:
        if cell == bad:
            self.folder.log_of(cell).write_text("a line\nthe reason\n")
            return "failed", 2
        return working(self, cell, arguments, lease, planned)

    monkeypatch.setattr(Worker, "_process", process)
    run_workers(tiny, 2)
    states = [tiny.state_of(cell, tiny.leases("me")) for cell in tiny.plan.cells]
    assert states == ["done", "failed", "done", "done"]
    assert tiny.failure(bad) == {"code": 2, "worker": tiny.failure(bad)["worker"], "tail": ["a line", "the reason"]}  # type: ignore[index]
    monkeypatch.setattr(Worker, "_process", working)
    assert tiny.forget_failures(tiny.plan.cells) == 1
    run_workers(tiny, 1)
    assert tiny.is_done(bad)


def test_a_cell_killed_from_outside_is_tried_three_times(tiny: BenchFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def process(
        self: Worker, cell: Cell, arguments: Sequence[str], lease: Lease, planned: Sequence[str]
    ) -> tuple[str, int]:
        tried.append(cell.name)
        return "failed", -signal.SIGKILL

    monkeypatch.setattr(Worker, "_process", process)
    run_workers(tiny, 1)
    assert len(tried) == 3 * len(tiny.plan.cells)


def test_a_full_disk_begins_nothing(tiny: BenchFolder, trained: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10 * 2**20})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"200 MiB free on the disk .* got 10 MiB; make room"):
        run_workers(tiny, 2)
    assert trained == []


def test_a_run_that_another_process_trains_is_left_alone(tiny: BenchFolder, trained: list[str]) -> None:
    """Its worker may have lost the lease, as after a suspended laptop, while the training goes on."""
    cell, stop = tiny.plan.cells[0], threading.Event()
    run = RunFolder.create(tiny.run_of(cell), {"agent": "rl", "seed": 0})
    worker = Worker(tiny, "w", stop=stop, wait=0.01)
    thread = threading.Thread(target=worker.run)
    with run.locked():
        thread.start()
        deadline = time.monotonic() + 20
        while len(trained) < len(tiny.plan.cells) - 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        thread.join()
    assert cell.name not in trained
    assert len(trained) == len(tiny.plan.cells) - 1


def test_a_worker_of_another_version_is_refused(tiny: BenchFolder) -> None:
    with pytest.raises(InputError, match=r"rlgen 0\.1\.0, as planned .* got 0\.2\.0"):
        require_same_rlgen(tiny, "0.2.0", "native")
    with pytest.raises(InputError, match="margin rule native"):
        require_same_rlgen(tiny, "0.1.0", "legacy")


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="a new or empty folder"):
        BenchFolder.prepare(tmp_path, TINY, plan_of(TINY))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_cores_and_gpus_are_shared_among_the_workers() -> None:
    assert [slot.cores for slot in slots(2, [0, 1, 2, 3])] == [[0, 1], [2, 3]]
    assert [slot.cores for slot in slots(3, [0, 1])] == [[0, 1]] * 3
    assert [slot.gpu for slot in slots(3, [0], ["0", "1"])] == ["0", "1", "0"]
    environment = slots(1, [0], ["1"])[0].environment()
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"


def test_sigterm_waits_for_every_training_to_save(tiny: BenchFolder) -> None:
    code = """
import sys, time
from pathlib import Path
from rlgen.bench.folder import BenchFolder
from rlgen.bench.local import run_workers
from rlgen.bench.worker import Worker
from rlgen.system.interrupt import signals_raise

def process(self, cell, arguments, lease, planned):
    self.stop.wait()
    time.sleep(0.2 if cell.agent == "ppo" else 1.0)
    return "stopped", 143

Worker._process = process
with signals_raise():
    run_workers(BenchFolder.open(Path(sys.argv[1])), 2, say=lambda line: print(line + chr(10), end='', flush=True))
"""
    worker = subprocess.Popen([sys.executable, "-c", code, str(tiny.path)], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    lines = [worker.stdout.readline() for _ in range(2)]
    worker.send_signal(signal.SIGTERM)
    rest, _ = worker.communicate(timeout=60)
    assert all(line.startswith("start ") for line in lines)
    assert rest.count("stopped ") == 2
    assert list((tiny.path / "leases").iterdir()) == []


def test_a_killed_workers_training_ends_and_another_worker_finishes_its_cells(tmp_path: Path) -> None:
    """Real processes: SIGKILL to the worker in the middle of a training."""
    text = TINY.replace("steps = 64", "steps = 3000").replace("seeds = [0, 1]", "seeds = [0]")
    text = text.partition("[agents.a2c]")[0] + "[figure]\ncurve = 'rollout/ep_rew_mean'\n"
    folder = BenchFolder.prepare(tmp_path / "bench", text, real_plan_of(text))
    (cell,) = folder.plan.cells
    code = "import sys; from pathlib import Path; from rlgen.bench.folder import BenchFolder\n"
    code += "from rlgen.bench.local import run_workers; run_workers(BenchFolder.open(Path(sys.argv[1])), 1)"
    worker = subprocess.Popen([sys.executable, "-c", code, str(folder.path)])
    metrics = folder.run_of(cell) / "metrics.csv"
    wait_for(lambda: metrics.is_file() and metrics.stat().st_size > 0)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    run_workers(folder, 1)
    assert folder.is_done(cell)
    assert (folder.run_of(cell) / "versions.json").read_text().count('"time"') == 1, "it was resumed once"


def wait_for(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
