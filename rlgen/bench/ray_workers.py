"""Workers of a benchmark as tasks of Ray, on a cluster or on this machine. Ray starts a task again when its node dies.

The folder is the queue, as everywhere: Ray only places the workers. A worker's training ends with the worker, and
another one resumes it.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rlgen.bench.folder import PLAN, BenchFolder
from rlgen.bench.local import work_on, worker_name
from rlgen.bench.status import EVERY, follow
from rlgen.bench.worker import GRACE
from rlgen.errors import InputError, problem, reason
from rlgen.system.interrupt import signals_raise

INSTALL = 'run pip install "rlgen[ray]"'


class Unfinished(Exception):
    """The trainings of a worker were stopped from outside and have saved; cells are left."""


def serve(path: str, data: str | None) -> None:
    """Train until no cell is left: what a task of Ray does.

    Raises `InputError` where the folder or the data is missing and for another version of rlgen, and `Unfinished` if
    the node is being taken away.
    """
    if not (Path(path) / PLAN).is_file():
        got = f"none on {worker_name()}"
        raise problem(
            f"the benchmark's folder {path} on every node", got, "choose --out on a disk that all nodes share"
        )
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # Ray has set it if the task may use a GPU
    folder = work_on(Path(path), data=None if data is None else Path(data))
    if folder.unfinished():
        raise Unfinished


def run_on_ray(
    folder: BenchFolder,
    jobs: int,
    *,
    address: str | None = None,
    data: Path | None = None,
    say: Callable[[str], None] = print,
    every: float = EVERY,
) -> None:
    """Train with `jobs` workers on a Ray cluster until every cell is done or failed.

    Each worker has one CPU and, where the cluster has GPUs, one GPU. `address`: the cluster's, host:port; None for the
    one that this machine is part of, else for a new one of this machine alone. `data`: folder of the demonstrations on
    every node. `every`: seconds between two lines of progress. Ctrl-C and SIGTERM stop the workers, are raised again
    when the trainings have saved, and leave the cluster running.
    """
    ray = ray_module()
    # The handlers of signals within, because Ray replaces that of SIGTERM.
    with _connected(ray, address), _cluster_lives(ray), signals_raise():
        resources = ray.cluster_resources()
        gpus = 1 if resources.get("GPU") else 0
        task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=-1, retry_exceptions=[Unfinished])(serve)
        path = str(folder.path.resolve())
        tasks = [task.remote(path, None if data is None else str(data)) for _ in range(jobs)]
        slots = int(resources.get("GPU" if gpus else "CPU", 0))
        say(f"{jobs} workers on a Ray cluster with {slots} {'GPUs' if gpus else 'CPUs'}")
        try:
            follow(folder, say, lambda seconds: _have_ended(ray, tasks, seconds), every)
        except BaseException:
            say("stopping: the trainings save; the same command continues")
            _stop(ray, tasks, folder)
            raise


def ray_module() -> Any:
    """The package ray. Raises `InputError` if it is not installed."""
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"  # under `uv run`, every node would install all packages again
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise problem("the package ray for --on ray", "none", INSTALL) from error
    return ray


@contextlib.contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:
    try:
        ray.init(address=address, log_to_driver=False, logging_level="warning")
    except Exception as error:  # Ray raises it bare where a node starts too slowly
        where = "on this machine" if address is None else f"at {address}"
        remedy = "start it by `ray start --head` with this Python, and give its address as --ray-address HOST:PORT"
        raise problem(f"a Ray cluster {where}", reason(error), remedy) from error
    try:
        yield
    finally:
        ray.shutdown()


def _have_ended(ray: Any, tasks: list[Any], seconds: float) -> bool:
    """Wait for the next worker to end and forget it. Raises the error of a worker, and `InputError` without a node."""
    done, tasks[:] = ray.wait(tasks, timeout=seconds)
    try:
        ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from error
        if isinstance(error.cause, ImportError) or "failed to import" in str(error):
            got = str(error).strip().splitlines()[-1]
            raise problem("this version of rlgen on every node", got, "install it in the Python of Ray") from error
        raise
    if tasks and not any(node["Alive"] for node in ray.nodes()):
        raise _ended("no node of it is left")
    return not tasks


@contextlib.contextmanager
def _cluster_lives(ray: Any) -> Iterator[None]:
    """Raises `InputError` where the cluster ends within the block; errors of a task pass."""
    try:
        yield
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        raise _ended(f"{type(error).__name__}: {reason(error)}") from error


def _ended(got: str) -> InputError:
    remedy = "start it again by `ray start --head`, and give the same command, which continues"
    return problem("a Ray cluster that runs until all cells are trained", got, remedy)


def _stop(ray: Any, tasks: list[Any], folder: BenchFolder) -> None:
    """Stop the workers and wait until their trainings have saved."""
    with contextlib.suppress(ray.exceptions.RayError):  # if the cluster has ended, so have its workers
        for task in tasks:
            ray.cancel(task)
    leases, deadline = folder.leases(worker_name()), time.monotonic() + GRACE
    cells = folder.unfinished()
    while time.monotonic() < deadline and any(leases.holder(cell.name) for cell in cells):
        time.sleep(0.5)
