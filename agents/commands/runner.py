"""Starts or resumes a training in a run folder, up to its evaluation and report.

Several processes, one per GPU, are one training: `torchrun --nproc-per-node 8 --no-python rlgen train …`.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.distributed

# An optimizer's first step imports it. Imported after the process group exists, its default arguments would keep the
# group and the group's threads alive until Python ends, and threads that still work then abort the process.
import torch.distributed.nn

from rlgen import distributed
from rlgen.display import Display
from rlgen.errors import problem
from rlgen.runs.checkpoint import list_checkpoints
from rlgen.runs.config import write_json
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.system.device import device_name, set_torch_threads
from rlgen.system.interrupt import Stopped, exit_code
from rlgen.system.versions import describe

from ..session import Session
from ..trainable import Trainable

log = logging.getLogger("rlgen")


@contextmanager
def joined(device: str) -> Iterator[None]:
    """A context in which the processes that torchrun started form one group (`rlgen.distributed`), each with the GPU of
    its local rank. Without torchrun it does nothing."""
    if not torch.distributed.is_torchelastic_launched():
        yield
        return
    if device.startswith("cuda:"):
        raise problem("a device for all processes", device, "use --device cuda: each process takes its own GPU")
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        here, gpus = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if here >= gpus:
            raise problem(f"at most {gpus} processes on a machine of {gpus} GPUs", f"{here + 1}", "start fewer")
        torch.cuda.set_device(here)
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
    if distributed.rank() != 0:
        log.setLevel(logging.WARNING)  # one log is enough
    log.info("%d processes train together%s", distributed.world_size(), ", each on a GPU" if on_gpu else "")
    yield
    # Skipped after an error: torchrun then ends the other processes, which may be waiting for this one.
    distributed.barrier()  # torchrun ends all processes with the first one, and process 0 may still be writing
    torch.distributed.destroy_process_group()


def share_of(config: Any) -> Any:
    """The settings of one process of a group that together trains by `config`: its share of the environments and of the
    rows of a gradient step. Raises `InputError` if they cannot be divided equally."""
    n = distributed.world_size()
    if n == 1:
        return config
    learner: Any = getattr(config, "learner", None)
    if learner is None or config.backend != "warp":
        got = f"{n} of `train {config.agent}` on the backend {config.backend}"
        raise problem("one process, or PPO on --backend warp", got, "start it without torchrun, or on that backend")
    for name, value in (("--n-envs", config.n_envs), ("--learner.batch-size", learner.batch_size)):
        if value % n:
            raise problem(f"{name} that {n} processes can share", str(value), f"give a multiple of {n}")
    own = replace(learner, batch_size=learner.batch_size // n)
    return replace(config, n_envs=config.n_envs // n, learner=own)


def record_resume(folder: RunFolder, device: str) -> dict[str, Any]:
    """Append this resume, with the differences from the run's start, to `sittings` in versions.json, and warn of them.

    Returns the differences by name, each `[at the start, now]`.
    """
    began = folder.versions
    resumes = began.pop("sittings", [])
    then, now = flat(began), flat(describe(device))
    changed = {name: [then.get(name), now.get(name)] for name in sorted(then | now) if then.get(name) != now.get(name)}
    resume = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "changed": changed}
    write_json(folder / "versions.json", {**began, "sittings": [*resumes, resume]})
    if changed:
        listed = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in changed.items())
        log.warning("the run continues with other versions than it started with, so its numbers may differ: %s", listed)
    return changed


def flat(versions: dict[str, Any]) -> dict[str, Any]:
    """One flat mapping of the versions, packages included."""
    rest = {name: value for name, value in versions.items() if name != "packages"}
    return {**rest, **versions.get("packages", {})}


class RunTraining(Trainable, Protocol):
    """A `Trainable` that writes the files of its run."""

    def keep(self, folder: RunFolder) -> None:
        """Write into a new folder what the run needs to be resumed."""
        ...

    def finish(self, folder: RunFolder, metrics: Metrics, seconds: float) -> None:
        """Evaluate the trained model, and write result, pictures and report. `seconds`: training time."""
        ...


class Settings(Protocol):
    """The settings of a run, as the runner uses them."""

    @property
    def out(self) -> Path: ...
    @property
    def threads(self) -> int | None: ...
    @property
    def device(self) -> str: ...
    @property
    def counts_steps(self) -> bool: ...
    @property
    def evaluates_first(self) -> bool: ...

    def recorded(self) -> dict[str, Any]:
        """The contents of config.json."""
        ...

    def display(self) -> Display:
        """How reports show the run."""
        ...

    def build(self, stack: ExitStack, folder: RunFolder | None) -> RunTraining:
        """The training with its environments, data and models; raises `InputError` for settings or data that cannot be
        used. `folder`: of a resumed run, for its saved data; None for a new run. `stack` closes what was opened. Each
        of several processes builds its share."""
        ...

    def total(self, training: Any) -> int:
        """Steps or updates in all."""
        ...

    def intervals(self) -> tuple[float, float]:
        """Steps between checkpoints, and between evaluations; infinity for never."""
        ...


def start(settings: Settings) -> int:
    """Train in a new run folder. Returns the exit code."""
    set_torch_threads(settings.threads)
    with ExitStack() as stack:
        stack.enter_context(joined(settings.device))
        training = settings.build(stack, None)  # before the folder is made, which a second attempt would find not empty
        if distributed.rank() != 0:
            return _follow(settings.out, settings, training)
        folder = RunFolder.create(
            settings.out, settings.recorded(), device=device_name(training.device), display=settings.display()
        )
        stack.enter_context(folder.locked())
        training.keep(folder)
        return _train(folder, settings, training)


def go_on(folder: RunFolder, settings: Settings) -> int:
    """Train in `folder` from its newest checkpoint, or from the start if it has none. Returns the exit code."""
    set_torch_threads(settings.threads)
    with ExitStack() as stack:
        stack.enter_context(joined(settings.device))
        if distributed.rank() == 0:
            stack.enter_context(folder.locked())
        training = settings.build(stack, folder)
        if distributed.rank() != 0:
            return _follow(folder.path, settings, training)
        folder = folder.training_to(settings.recorded())
        folder.note_display(settings.display())
        record_resume(folder, device_name(training.device))
        return _train(folder, settings, training)


def _train(folder: RunFolder, settings: Settings, training: RunTraining) -> int:
    """Train, and finish the run. Returns the exit code."""
    remedy = f"rlgen resume {folder.path}"
    folder.begin(settings.total(training) if settings.counts_steps else None)
    trained = False
    try:
        with Metrics(folder) as metrics:
            session = _session(folder, settings, training, metrics)
            session.run()
            trained = True
            training.finish(folder, metrics, session.trained_seconds)
    except Stopped as stop:
        if list_checkpoints(folder):
            unit = training.unit.removesuffix("s")
            log.info("stopped and saved at %s %s; continue with: %s", unit, f"{training.step:,}", remedy)
        else:
            log.info("stopped; start again with: %s", remedy)
        return exit_code(stop)
    except KeyboardInterrupt as stop:
        if trained and list_checkpoints(folder):
            log.info("stopped in the final evaluation; the training is saved, and the run is finished by: %s", remedy)
        else:
            log.info("stopped without saving; continue from the last checkpoint with: %s", remedy)
        return exit_code(stop)
    folder.end()
    return 0


def _follow(path: Path, settings: Settings, training: RunTraining) -> int:
    """Train with process 0, the only one that writes. Returns the exit code."""
    try:
        _session(RunFolder(path, settings.recorded()), settings, training, None).run()
    except (Stopped, KeyboardInterrupt) as stop:
        return exit_code(stop)
    return 0


def _session(folder: RunFolder, settings: Settings, training: RunTraining, metrics: Metrics | None) -> Session:
    save_every, evaluate_every = settings.intervals()
    return Session(
        folder=folder,
        trainable=training,
        metrics=metrics,
        steps=settings.total(training),
        save_every=save_every,
        evaluate_every=evaluate_every,
        evaluates_first=settings.evaluates_first,
    )
