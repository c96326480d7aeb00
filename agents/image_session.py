"""One sitting of the training of an image model: updates with progress, checkpoints, pictures, and a clean stop."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rlgen.data.minibatches import Minibatches, PartlyLabelled
from rlgen.errors import InputError
from rlgen.generators.trainer import Diverged, Game
from rlgen.runs.checkpoint import last_good, list_checkpoints, load_checkpoint, restoring, save_checkpoint
from rlgen.runs.folder import RunFolder
from rlgen.runs.interrupt import Interrupt, Stopped
from rlgen.runs.metrics import Metrics
from rlgen.runs.progress import Progress
from rlgen.runs.rng import rng_state, set_rng_state

log = logging.getLogger("rlgen")
GAME = "image"
SHOWN = 3
"""Logged values in the progress display: the first player's first."""


class Means:
    """Means of logged values over the updates since they were last read."""

    def __init__(self) -> None:
        self.totals: dict[str, Tensor] = {}
        self.count = 0

    def add(self, logs: Mapping[str, Tensor]) -> None:
        for name, value in logs.items():
            self.totals[name] = self.totals[name] + value if name in self.totals else value
        self.count += 1

    def take(self) -> dict[str, float]:
        """The means, read from the device in one go; counting begins anew."""
        if not self.count:
            return {}
        values = (torch.stack([value.double() for value in self.totals.values()]) / self.count).tolist()
        names, self.totals, self.count = list(self.totals), {}, 0
        return dict(zip(names, values, strict=True))

    def state_dict(self) -> dict[str, Any]:
        return {"totals": dict(self.totals), "count": self.count}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.totals = {name: value.to(device) for name, value in state["totals"].items()}
        self.count = state["count"]


@dataclass
class ImageSession:
    """`game` in `folder`, from its newest checkpoint if it has one. `seconds`: training time over all sittings."""

    folder: RunFolder
    game: Game
    batches: Minibatches | PartlyLabelled
    metrics: Metrics
    steps: int
    """Updates in all."""
    log_every: int
    checkpoint_every: int
    """0: only at the end and where it is stopped."""
    evaluate_every: int
    """0: never."""
    evaluate: Callable[[int], dict[str, float]]
    """Draws pictures of the model after so many updates, though not after the last, and returns what it measured."""
    require_sound: Callable[[], None] = lambda: None
    """Raises `Diverged` where there is nothing to save: the model is no longer one."""
    seconds: float = 0.0
    since: float = field(default_factory=time.perf_counter)
    means: Means = field(default_factory=Means)

    def run(self) -> None:
        """Train to the end. Raises `Stopped`, with the state saved, when the user asks to stop, and `InputError` with
        update, term and last good checkpoint when a loss is not finite."""
        try:
            self._run()
        except Diverged as stop:
            raise InputError(f"{stop}; {last_good(self.folder)}") from stop

    def _run(self) -> None:
        self.restore()
        remedy, title = f"continue with: rlgen resume {self.folder.path}", self.folder.agent_name
        start = self.game.step
        with (
            Interrupt(remedy) as interrupt,
            Progress(title, self.steps, start=start, unit="updates") as self.progress,
        ):
            while self.game.step < self.steps and not interrupt.requested:
                self.means.add(self.game.update(*next(self.batches)))
                self.after_update()
            if self.game.step > start or not list_checkpoints(self.folder):
                self.save(final=self.game.step >= self.steps)
            if interrupt.requested:
                raise Stopped

    def after_update(self) -> None:
        """Log, draw and save where that is due. Saving comes last, so that a checkpoint's metrics are complete."""
        step = self.game.step
        last = step >= self.steps
        if step % self.log_every == 0 or last:
            self.report()
        if self.evaluate_every and (step % self.evaluate_every == 0 or last):
            self.pause_clock()
            self.require_sound()
            with self.game.evaluating():
                found = self.evaluate(step)
            if found:
                self.metrics.write(step, {f"evaluation/{name}": value for name, value in found.items()})
            self.since = time.perf_counter()
        if self.checkpoint_every and step % self.checkpoint_every == 0 and not last:
            self.save()

    def report(self) -> None:
        """Write the means since the last report."""
        self.game.require_finite()
        values = self.means.take()
        self.pause_clock()
        speed = self.images_seen / self.seconds if self.seconds else 0.0
        clock = {"time/training_seconds": self.seconds, "time/images_per_second": speed}
        self.metrics.write(self.game.step, {**values, **clock})
        self.progress.update(self.game.step, {**dict(list(values.items())[:SHOWN]), "images/s": speed})

    @property
    def images_seen(self) -> int:
        """Over all sittings."""
        return self.game.step * self.batches.size

    def restore(self) -> None:
        """Go on from the newest whole checkpoint, or from the beginning."""
        self.since = time.perf_counter()
        if not list_checkpoints(self.folder):
            self.metrics.truncate(-1)  # what a run wrote that was killed before its first checkpoint
            return
        step, state = load_checkpoint(self.folder)
        with restoring(self.folder, step):
            self.game.load_state_dict(state[GAME])
            if self.game.step != step:
                raise ValueError(f"a model at update {self.game.step}")
            self.batches.load_state_dict(state["batches"])
            self.means.load_state_dict(state["means"], self.game.device)
            self.seconds = float(state["seconds"])
            set_rng_state(state["rng"])
        self.metrics.truncate(step)
        log.info("continuing from update %s", f"{step:,}")

    def save(self, final: bool = False) -> None:
        """Write a checkpoint of everything. Raises `Diverged` rather than save what cannot go on."""
        self.pause_clock()
        self.require_sound()
        state: dict[str, Any] = {
            GAME: self.game.state_dict(),
            "batches": self.batches.state_dict(),
            "means": self.means.state_dict(),
            "rng": rng_state(),
            "seconds": self.seconds,
        }
        self.metrics.sync()
        save_checkpoint(self.folder, self.game.step, state, final=final)

    def pause_clock(self) -> None:
        """Book the training time so far."""
        if self.game.device.type == "cuda":
            torch.cuda.synchronize(self.game.device)
        now = time.perf_counter()
        self.seconds, self.since = self.seconds + now - self.since, now
