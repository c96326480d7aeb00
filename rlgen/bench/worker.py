"""A worker takes cells of a benchmark's folder and trains them, one after another."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rlgen.bench.cells import Cell
from rlgen.bench.estimate import keep_measurement, measured_of
from rlgen.bench.folder import BenchFolder, is_run, require_same_rlgen, tail_of
from rlgen.bench.lease import BEAT, Lease, Leases, beating
from rlgen.errors import InputError, problem
from rlgen.runs.result import Result
from rlgen.system.files import locked

ROOM = 200 * 2**20
"""Free bytes on the disk below which no cell is begun."""
KILLS = 3
"""Times that a cell's process may be killed from outside before it counts as failed."""
STOPS = (130, 143, 138, -signal.SIGTERM, -signal.SIGINT)
"""Exit codes of a training that was asked to stop, and has saved."""
CHANGED = 3
"""Exit code of a cell that no longer has the identity it was planned with."""
CHILD = (sys.executable, "-P", "-m", "rlgen.agents.commands.bench_child")
"""Command that runs a training on a worker's cores."""
GRACE = 120.0
"""Seconds in which a training that is asked to stop may save."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

Outcome = Literal["done", "failed", "stopped", "lost", "busy"]


@dataclass(frozen=True)
class Slot:
    """The part of a machine that a worker uses."""

    cores: Sequence[int] = ()
    """Cores of its trainings; empty for all."""
    gpu: str | None = None
    """Value of CUDA_VISIBLE_DEVICES; None to leave it as it is."""

    def environment(self) -> dict[str, str]:
        """Environment variables of a training: one thread in every library that has its own."""
        own = {name: "1" for name in THREADS} | ({} if self.gpu is None else {"CUDA_VISIBLE_DEVICES": self.gpu})
        return {**os.environ, **own}


@dataclass
class Worker:
    """Trains cells until none is left. Threads may run several workers at once, each with its own slot."""

    folder: BenchFolder
    name: str
    slot: Slot = field(default_factory=Slot)
    data: Path | None = None
    """Folder of the demonstrations on this machine."""
    say: Callable[[str], None] = print
    """Receives a line about every cell that begins or ends."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set to stop: the training saves, the cell becomes free."""
    wait: float = 2 * BEAT
    """Seconds until a worker without work looks again while others still train."""
    leases: Leases | None = None

    def __post_init__(self) -> None:
        self._leases = self.leases or self.folder.leases(self.name)
        self._kills: dict[str, int] = {}

    def run(self) -> None:
        """Train until every cell is done or failed. While others hold the rest it waits: one of them may die."""
        while not self.stop.is_set():
            self._require_room()
            self._follow_the_plan()
            if self._train_next():
                continue
            if not self.folder.unfinished():
                return
            self.stop.wait(self.wait)

    def _follow_the_plan(self) -> None:
        """Take over a plan that was changed meanwhile, unless it is another version's."""
        found = self.folder.current()
        if found is not self.folder:
            require_same_rlgen(found, self.folder.plan.rlgen, self.folder.plan.margin_rule)
            self.folder = found

    def _train_next(self) -> bool:
        """Train one free cell. Returns False if there is none."""
        for cell in self.folder.unfinished():
            lease = self._leases.take(cell.name)
            if lease is None:
                continue
            with beating(lease):
                if self.folder.is_done(cell) or self.folder.failure(cell) is not None:
                    continue  # another worker ended it between the look and the lease
                outcome = self._train(cell, lease)
            if outcome != "busy":
                return True
        return False

    def _train(self, cell: Cell, lease: Lease) -> Outcome:
        """Begin or resume the cell's run and note its end."""
        out = self.folder.run_of(cell)
        if is_run(out) and not _is_free(out):
            return "busy"  # its former worker lost the lease, but trains on
        try:
            planned = cell.arguments(self.data)
        except InputError as error:  # the demonstrations are not here: no other cell is to blame
            raise InputError(f"{cell.name}: {error}") from error
        chosen = cell.resuming(out) if is_run(out) else [*planned, "--out", str(out)]
        begins = not is_run(out)
        self.say(f"{'start' if begins else 'resume'} {cell.name}")
        clock = time.monotonic()
        outcome, code = self._process(cell, chosen, lease, planned)
        if begins and outcome == "done":
            memory = Result.read(out).peak_memory_mb
            keep_measurement(measured_of(cell, time.monotonic() - clock, memory, out))
        if outcome == "failed" and code < 0 and self._kills.setdefault(cell.name, 0) + 1 < KILLS:
            self._kills[cell.name] += 1
            outcome = "stopped"
        if outcome == "failed":
            self.folder.note_failure(cell, code, self.name)
        self.say(f"{outcome}{f' (exit code {code})' if outcome == 'failed' else ''} {cell.name}")
        return outcome

    def _process(
        self, cell: Cell, arguments: Sequence[str], lease: Lease, planned: Sequence[str]
    ) -> tuple[Outcome, int]:
        cores = ",".join(map(str, self.slot.cores))
        command = [*CHILD, "--cores", cores, "--parent", str(os.getpid())]
        command += ["--cell", cell.id, "--planned", json.dumps(planned)]
        with self.folder.log_of(cell).open("ab") as log:
            process = subprocess.Popen(
                [*command, "--", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.slot.environment(),
                start_new_session=True,  # Ctrl-C reaches the worker, which asks it to stop
            )
            code = self._wait(process, lease)
        if lease.lost.is_set():
            return "lost", code
        if code == 0 and self.folder.is_done(cell):
            return "done", code
        if code == CHANGED:  # this machine or the plan is to blame, so that another cell would fare no better
            raise InputError(f"{cell.name}: {tail_of(self.folder.log_of(cell))[-1]}")
        if code in STOPS:
            self.stop.set()  # the machine is being taken away, or a person stopped it
            return "stopped", code
        return "failed", code

    def _wait(self, process: subprocess.Popen, lease: Lease) -> int:
        """Wait for the end; ask the training to stop when this worker must, or has lost its lease."""
        while True:
            try:
                return process.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                if not (self.stop.is_set() or lease.lost.is_set()):
                    continue
            process.terminate()
            try:
                return process.wait(timeout=GRACE)
            except subprocess.TimeoutExpired:
                process.kill()

    def _require_room(self) -> None:
        free = shutil.disk_usage(self.folder.path).free
        if free < ROOM:
            got = f"{free / 2**20:,.0f} MiB"
            remedy = "make room; what is done stays, and the same command continues"
            raise problem(f"{ROOM / 2**20:,.0f} MiB free on the disk of {self.folder.path}", got, remedy)


def _is_free(run: Path) -> bool:
    """Whether no process trains in the run folder."""
    try:
        with locked(run):
            return True
    except InputError:
        return False
