"""One session of a training in its run folder: progress, checkpoints, evaluations, and a clean stop."""

import logging
import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from rlgen import distributed
from rlgen.errors import InputError, NotFinite, problem
from rlgen.reports.pictures import write_png
from rlgen.runs.checkpoint import (
    last_good,
    list_checkpoints,
    load_checkpoint,
    own_state,
    restoring,
    save_checkpoint,
    with_others,
)
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.system.console import Progress
from rlgen.system.files import atomic_write
from rlgen.system.interrupt import Interrupt, Stopped
from rlgen.system.rng import rng_state, set_rng_state

from .trainable import Trainable

log = logging.getLogger("rlgen")


@dataclass
class Every:
    """Due once in every `steps` steps."""

    steps: float
    next: float

    @classmethod
    def from_step(cls, steps: float, now: int) -> "Every":
        """Due at multiples of `steps`, so that a resumed run has them at the same steps; infinity: never."""
        return cls(steps, (now // steps + 1) * steps)

    def due(self, now: int) -> bool:
        if now < self.next:
            return False
        self.next = (now // self.steps + 1) * self.steps
        return True


@dataclass(kw_only=True)
class Session:
    """Trains `trainable` in `folder` to `steps`, from its newest checkpoint if it has one.

    `save_every`: steps between checkpoints, 0 for one after every round, infinity for none but the last.
    `evaluate_every`: steps between evaluations, 0 or infinity for none. If several processes train together, only
    process 0 has `metrics`, and it writes the state of all."""

    folder: RunFolder
    trainable: Trainable
    metrics: Metrics | None
    steps: int
    save_every: float
    evaluate_every: float
    evaluates_first: bool = False
    """Whether a new run evaluates, where it evaluates at all, and saves before the first step."""
    trained_seconds: float = 0.0
    """Training time [s] before this session, without evaluations."""
    since: float = field(default_factory=time.perf_counter)
    unevaluated: bool = field(default=False, init=False)
    """Whether the evaluation that is due at this step is not done yet."""
    saved_step: int | None = field(default=None, init=False)
    """Step of the newest checkpoint."""

    def run(self) -> None:
        """Train to the end. Raises `Stopped`, after saving, when the user interrupts, and `InputError`, naming the
        quantity and the last good checkpoint, when a number is not finite."""
        try:
            self._run()
        except NotFinite as stop:
            raise InputError(f"{stop}; {last_good(self.folder)}") from stop

    def _run(self) -> None:
        new = not list_checkpoints(self.folder)
        self.restore()
        self.begin()
        start = self.trainable.step
        remedy = f"continue with: rlgen resume {self.folder.path}"
        progress = Progress(
            self.folder.agent_name, self.steps, start=start, unit=self.trainable.unit, show=self.metrics is not None
        )
        with Interrupt(remedy) as self.interrupt, progress as self.progress:
            if new and self.evaluates_first:
                self.unevaluated = bool(self.evaluate_every)
                self.save()
            if self.unevaluated and start < self.steps:
                self.evaluate()
            self.trainable.advance(self.steps, self)
            if start >= self.steps and not self.unevaluated:  # it was stopped after its last checkpoint
                return
            if self.evaluate_every:
                # A resumed run that was stopped in this evaluation has its checkpoint.
                resumed = self.unevaluated and self.saved_step == self.trainable.step
                self.unevaluated = True
                if not resumed:
                    self.save_state()
                self.evaluate(last=True)
            self.save(final=True)
            if distributed.any_of(self.interrupt.requested):  # interrupted in the last round
                raise Stopped

    def begin(self) -> None:
        """Schedule the next checkpoint and the next evaluation."""
        self.save_due = Every.from_step(self.save_every or 1, self.trainable.step)
        self.evaluate_due = Every.from_step(self.evaluate_every or math.inf, self.trainable.step)

    def between(self) -> None:
        """Save, then evaluate, where due; in this order a kill during the evaluation, which may take minutes, loses
        nothing: the run goes on with the evaluation."""
        now = self.trainable.step
        self.unevaluated = self.evaluate_due.due(now)
        stopping = distributed.any_of(self.interrupt.requested)
        if self.save_due.due(now) or stopping:
            self.save()
        if stopping:
            raise Stopped
        if self.unevaluated:
            self.evaluate()

    def restore(self) -> None:
        """Continue from the newest complete checkpoint; without one, start from step 0."""
        self.since = time.perf_counter()
        found = list_checkpoints(self.folder)
        latest = int(found[0].name.partition(".")[0]) if found else -1
        if len(set(distributed.all_gather(torch.tensor([latest])).tolist())) > 1:
            got = f"process {distributed.rank()} found {'another checkpoint' if found else 'none'}"
            raise problem("one run folder that all processes see", got, "put it on a disk that they share")
        if not found:
            if self.metrics is not None:
                self.metrics.truncate(-1)  # metrics of a run that was killed before its first checkpoint
            return
        step, whole = load_checkpoint(self.folder)
        with restoring(self.folder, step):
            self.load(step, own_state(whole))
        if self.metrics is not None:
            self.metrics.truncate(step, evaluated=not self.unevaluated)
        self.write_files()  # the run may have been killed between this checkpoint and its files
        log.info("continuing from %s %s", self.trainable.unit.removesuffix("s"), f"{step:,}")

    def load(self, step: int, state: dict[str, Any]) -> None:
        """Restore the state of `step`."""
        self.trainable.load_state_dict(state)
        if self.trainable.step != step:
            raise ValueError(f"a model at step {self.trainable.step}")
        self.trained_seconds = float(state["seconds"])
        self.unevaluated, self.saved_step = bool(state.get("unevaluated")), step
        set_rng_state(state["rng"])

    def save(self, final: bool = False) -> None:
        """Write a checkpoint and the files that accompany it."""
        if self.save_state(final):
            self.write_files()

    def save_state(self, final: bool = False) -> bool:
        """Write a checkpoint of the complete state; returns whether the training has one. Raises `NotFinite` instead of
        saving a state that is not finite."""
        seconds = self.seconds()
        state = self.trainable.state_dict()
        if not state:
            return False
        state = with_others({**state, "rng": rng_state(), "seconds": seconds, "unevaluated": self.unevaluated})
        if self.metrics is not None:
            self.metrics.sync()
            save_checkpoint(self.folder, self.trainable.step, state, final=final)
        self.saved_step = self.trainable.step
        return True

    def write_files(self) -> None:
        """Write the files that accompany a checkpoint."""
        if self.metrics is None:
            return
        for name, data in self.trainable.files().items():
            atomic_write(self.folder / name, data)

    def evaluate(self, last: bool = False) -> None:
        """Log a point of the learning curve and pictures; training time excludes it. `last`: no pictures, because the
        final evaluation makes its own. A signal ends it at once where this step is saved."""
        self.unevaluated = False
        if self.metrics is None:
            return
        self.seconds()
        step = self.trainable.step
        saved = self.saved_step == step and distributed.world_size() == 1
        with self.interrupt.raising() if saved else nullcontext():
            found, pictures = self.trainable.evaluate(), {} if last else self.trainable.pictures()
        for name, picture in pictures.items():
            self.metrics.write_image(step, name, picture)
            write_png(self.folder / name / f"{step:09d}.png", picture)
        self.since = time.perf_counter()
        if found:
            self.log({f"evaluation/{name}": value for name, value in found.items()})
        if line := self.trainable.describe(found):
            self.message(f"{step:>12,} {self.trainable.unit}: {line}")

    def log(self, values: Mapping[str, float]) -> None:
        if self.metrics is not None:
            self.metrics.write(self.trainable.step, {**values, "time/training_seconds": self.seconds()})

    def show(self, values: Mapping[str, float]) -> None:
        self.progress.update(self.trainable.step, values)

    def show_warm_up(self, done: int, most: int) -> None:
        """Show on the progress display that the cloning before the first step is running."""
        self.progress.aside(f"{self.folder.agent_name}: cloning", done, most, "updates")

    def message(self, text: str) -> None:
        self.progress.message(text)

    def seconds(self) -> float:
        now = time.perf_counter()
        self.trained_seconds, self.since = self.trained_seconds + now - self.since, now
        return self.trained_seconds
