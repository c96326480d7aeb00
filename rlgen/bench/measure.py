"""A minute of a cell's training, to know what the whole would take on this machine."""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from rlgen.bench.cells import Cell
from rlgen.bench.estimate import keep_measurement, measured_of
from rlgen.bench.status import done_of
from rlgen.bench.worker import CHILD, Slot
from rlgen.errors import problem
from rlgen.runs.result import Result

SECONDS = 60.0
GRACE = 120.0


def measure(cell: Cell, data: Path | None, seconds: float = SECONDS) -> None:
    """Train the cell for some seconds and keep its measurement, extrapolated to the end.

    Raises `InputError` if the training ends with an error or reports no progress.
    """
    with tempfile.TemporaryDirectory(prefix="rlgen-measure-") as temporary:
        out, log = Path(temporary) / "run", Path(temporary) / "log"
        command = [*CHILD, "--cores", "", "--parent", str(os.getpid()), "--"]
        start = time.monotonic()
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, *cell.arguments(data), "--out", str(out)],
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=Slot().environment(),
            )  # fmt: skip
            code = _train_for(process, seconds)
        spent = time.monotonic() - start
        share = 1.0 if code == 0 else done_of(out).share
        if not share:
            said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["nothing"]
            raise problem(
                f"progress of {cell.name} within {seconds:.0f} s", said[0], "run one cell to see what is wrong"
            )
        memory = Result.read(out).peak_memory_mb if code == 0 else None
        keep_measurement(measured_of(cell, spent / share, memory, out))


def _train_for(process: subprocess.Popen, seconds: float) -> int:
    """Exit code of the process, which is stopped after some seconds."""
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
