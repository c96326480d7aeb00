"""Workers of a benchmark as jobs of SLURM, by submitit: an array that returns to the queue before its time limit.

The folder is the queue of cells, as everywhere: SLURM only places the workers. submitit keeps its own files in slurm/
of the folder, pickles of its own among them.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlgen.bench.folder import BenchFolder
from rlgen.bench.local import work_on
from rlgen.bench.status import EVERY, follow
from rlgen.bench.worker import GRACE
from rlgen.errors import problem, reason

INSTALL = 'run pip install "rlgen[slurm]"'
JOBS = "slurm"
"""submitit's folder in that of the benchmark: scripts, logs."""
SIGNAL = "USR1"
"""Sent before the time limit to all processes of a job; a training saves. submitit's own, USR2, would kill it."""
DELAY = 180
"""Seconds from the signal to the time limit, longer than a training may save."""
MINUTES = 240
FOREVER = 10**6
"""Times that a job may reach its time limit."""


class SlurmWorker:
    """What a job does: train until no cell is left. submitit calls `checkpoint` on the signal and requeues it."""

    def __init__(self, path: Path, data: Path | None) -> None:
        """`path`: folder of the benchmark. `data`: folder of the demonstrations; None for the plan's."""
        self._path, self._data = path, data
        self._taken_away = False

    def __call__(self) -> None:
        # Here, because an event cannot be pickled; in another thread, because signals interrupt the main one.
        self._stop, self._ended = threading.Event(), threading.Event()
        self._errors: list[BaseException] = []
        signal.signal(signal.SIGTERM, self._terminate)
        threading.Thread(target=self._work, daemon=True).start()
        try:
            while not self._ended.wait(0.5):
                pass
        except BaseException:
            self._save()
            raise
        if self._errors:
            raise self._errors[0]
        while self._taken_away:  # SLURM queues a preempted job again only if it still runs
            signal.pause()

    def checkpoint(self) -> Any:
        """The call with which submitit continues, when the training has saved."""
        from submitit.helpers import DelayedSubmission

        self._save()
        return DelayedSubmission(SlurmWorker(self._path, self._data))

    def _work(self) -> None:
        try:
            work_on(self._path, data=self._data, stop=self._stop)
        except BaseException as error:
            self._errors.append(error)
        finally:
            self._ended.set()

    def _save(self) -> None:
        self._stop.set()
        self._ended.wait(GRACE)

    def _terminate(self, signum: int, frame: Any) -> None:
        self._taken_away = True
        self._stop.set()


def submit(
    folder: BenchFolder,
    jobs: int,
    *,
    partition: str | None = None,
    minutes: int = MINUTES,
    extra: Mapping[str, str] | None = None,
    data: Path | None = None,
    cluster: str = "slurm",
) -> list[Any]:
    """Submit `jobs` workers as one array of jobs, and return submitit's jobs.

    `minutes`: time limit of a job, after which it returns to the queue. `extra`: further options of sbatch by name.
    `cluster`: submitit's name of the executor. Raises `InputError` without submitit, without SLURM, and for what SLURM
    refuses.
    """
    submitit = submitit_module()
    path = folder.path.resolve()
    kept: dict[str, Any] = {f"{cluster}_max_num_timeout": FOREVER}
    try:
        executor = submitit.AutoExecutor(folder=path / JOBS, cluster=cluster, **kept)
    except RuntimeError as error:
        raise problem("SLURM on this machine", str(error), "submit from a machine with `sbatch` and `srun`") from error
    own = {name.replace("-", "_"): value for name, value in (extra or {}).items()}
    executor.update_parameters(
        name="rlgen-bench",
        timeout_min=minutes,
        nodes=1,
        tasks_per_node=1,
        cpus_per_task=1,
        slurm_partition=partition,
        slurm_signal_delay_s=DELAY,
        slurm_setup=[f"export SUBMITIT_PREEMPT_SIGNAL={SIGNAL}"],
        slurm_additional_parameters={"requeue": True, **own},  # also when a node fails
    )
    try:
        return list(executor.submit_array([SlurmWorker(path, data) for _ in range(jobs)]))
    except submitit.core.utils.FailedJobError as error:
        remedy = "correct --slurm-partition, --slurm-time, --slurm-extra"
        raise problem("jobs that sbatch accepts", reason(error), remedy) from error


def submitit_module() -> Any:
    """The package submitit. Raises `InputError` if it is not installed."""
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = SIGNAL  # read on import
    try:
        import submitit
    except ImportError as error:
        raise problem("the package submitit for --on slurm", "none", INSTALL) from error
    return submitit


def wait_for(
    jobs: Sequence[Any], folder: BenchFolder, say: Callable[[str], None] = print, every: float = EVERY
) -> None:
    """Say how the workers proceed until every cell is done or failed; then cancel the jobs that have not begun.

    Ctrl-C and SIGTERM leave the jobs running. Raises `InputError` if all jobs have ended and cells are left.
    """
    try:
        follow(folder, say, lambda seconds: _have_ended(jobs, folder, seconds), every)
    except KeyboardInterrupt:
        say(f"the jobs go on without this command; `scancel {array_of(jobs)}` ends them, and their trainings save")
        raise
    left = folder.unfinished()
    if not left:
        for job in jobs:
            if job.state == "PENDING":
                job.cancel(check=False)
        return
    errors = [error for error in (job.exception() for job in jobs) if error is not None]
    said = str(errors[0]).strip().splitlines()[-1] if errors else "jobs that were cancelled"
    raise problem(
        f"workers that train all cells ({len(left)} are left)",
        said.rpartition("InputError: ")[2],
        f"see the logs in {folder.path / JOBS}; the same command continues",
    )


def _have_ended(jobs: Sequence[Any], folder: BenchFolder, seconds: float) -> bool:
    """Wait some seconds for the end of all jobs, or of all cells."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if all(job.done() for job in jobs) or not folder.unfinished():
            return True
        time.sleep(min(2.0, seconds))
    return False


def array_of(jobs: Sequence[Any]) -> str:
    """Number of the array of jobs, as scancel takes it."""
    return str(jobs[0].job_id).partition("_")[0]
