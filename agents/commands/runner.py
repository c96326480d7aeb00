"""Starts or resumes a training in a run folder, up to its evaluation and report."""

import logging
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from rlgen import distributed
from rlgen.display import Display
from rlgen.runs.checkpoint import list_checkpoints
from rlgen.runs.config import write_json
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.system.device import device_name, set_torch_threads
from rlgen.system.interrupt import Stopped, exit_code
from rlgen.system.versions import describe

from ..session import Session
from ..trainable import Trainable
from .data_parallel import joined

log = logging.getLogger("rlgen")


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
    folder.begin()
    try:
        with Metrics(folder) as metrics:
            session = _session(folder, settings, training, metrics)
            session.run()
            training.finish(folder, metrics, session.trained_seconds)
    except Stopped as stop:
        if list_checkpoints(folder):
            unit = training.unit.removesuffix("s")
            log.info("stopped and saved at %s %s; continue with: %s", unit, f"{training.step:,}", remedy)
        else:
            log.info("stopped; start again with: %s", remedy)
        return exit_code(stop)
    except KeyboardInterrupt as stop:
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
    )
