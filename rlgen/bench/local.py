"""Workers on this machine: their shares of its cores and GPUs, and the threads that they run in."""

import os
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import rlgen
from rlgen.bench.folder import BenchFolder, require_same_rlgen
from rlgen.bench.worker import Slot, Worker


def cores_of_this_machine() -> list[int]:
    """Cores that this process may use; empty where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def slots(jobs: int, cores: Sequence[int], gpus: Sequence[str] = ()) -> list[Slot]:
    """Shares of `jobs` workers: as many cores each, and one GPU each in turn. With more jobs than cores they share all.

    >>> [slot.cores for slot in slots(2, [0, 1, 2, 3, 4])]
    [[0, 1], [2, 3]]
    """
    each = len(cores) // jobs
    shares = [list(cores[job * each : (job + 1) * each]) for job in range(jobs)] if each else [list(cores)] * jobs
    return [Slot(cores=share, gpu=gpus[job % len(gpus)] if gpus else None) for job, share in enumerate(shares)]


def gpus_of_this_machine() -> list[str]:
    """Numbers of the GPUs that this process may use, for CUDA_VISIBLE_DEVICES."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu for gpu in chosen.split(",") if gpu.strip()]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def worker_name(job: int | None = None) -> str:
    """Name of a worker for people: host, process, job."""
    return f"{socket.gethostname()}:{os.getpid()}{'' if job is None else f':{job}'}"


def work_on(
    path: Path,
    jobs: int = 1,
    *,
    data: Path | None = None,
    say: Callable[[str], None] = print,
    stop: threading.Event | None = None,
) -> BenchFolder:
    """Train the cells of the benchmark at `path` like `run_workers`. `data`: folder of the demonstrations; by default
    the plan's. Raises `InputError` if there is no benchmark, and if another version of rlgen planned it."""
    from rlgen.sim.model import own_rule

    folder = BenchFolder.open(path)
    require_same_rlgen(folder, rlgen.__version__, own_rule())
    planned = None if folder.plan.data is None else Path(folder.plan.data)
    run_workers(folder, jobs, data=data or planned, say=say, stop=stop)
    return folder


def run_workers(
    folder: BenchFolder,
    jobs: int,
    *,
    data: Path | None = None,
    say: Callable[[str], None] = print,
    stop: threading.Event | None = None,
) -> None:
    """Train with `jobs` workers until every cell is done or failed, or `stop` is set.

    Ctrl-C and SIGTERM, raised as KeyboardInterrupt in the main thread, set `stop`, and are raised again when all
    trainings have saved. The first error of a worker stops the others and is raised.
    """
    stop = stop or threading.Event()
    workers = [
        Worker(folder, worker_name(job), slot, data, say, stop)
        for job, slot in enumerate(slots(jobs, cores_of_this_machine(), gpus_of_this_machine()))
    ]
    run_threads([worker.run for worker in workers], stop, say)


def run_threads(works: Sequence[Callable[[], None]], stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run functions that end soon after `stop` is set, a thread each, with the care of `run_workers`."""
    errors: list[BaseException] = []
    ended = [threading.Event() for _ in works]

    def serve(work: Callable[[], None], end: threading.Event) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
            stop.set()
        finally:
            end.set()

    for each in zip(works, ended, strict=True):
        threading.Thread(target=serve, args=each, daemon=True).start()
    try:
        _wait_for(ended)
    except KeyboardInterrupt:
        stop.set()
        say("stopping: the trainings save; the same command continues")
        _wait_for(ended)
        raise
    if errors:
        raise errors[0]


def _wait_for(events: Sequence[threading.Event]) -> None:
    """Wait for all events. `Thread.join` would not do: interrupted, it takes a running thread for an ended one (Python
    3.11)."""
    for event in events:
        while not event.wait(timeout=0.5):
            pass
