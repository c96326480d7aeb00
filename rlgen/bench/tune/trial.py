"""One trial of `rlgen tune`: its seeds are trained one after another while a pruner watches."""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

from rlgen.bench.cells import Cell
from rlgen.bench.folder import BenchFolder, is_run
from rlgen.bench.results import row_of
from rlgen.bench.tune.file import TuneFile
from rlgen.bench.tune.objective import PARTS, curve_for, objective, parts_of, per_seed, score_of, task_of
from rlgen.bench.tune.study import Study
from rlgen.bench.worker import Slot, Worker
from rlgen.errors import InputError
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import read_metrics

LOOK = 1.0
"""Seconds between two looks at the curve of a running training."""


class CellWorker(Worker):
    """A worker on a folder with a plan of one cell."""

    def _follow_the_plan(self) -> None:
        """The plan on the disk has the cells of other trials, too."""


@dataclass
class TrialRun:
    """The trainings of one trial."""

    trial: Any
    """The trial, as Optuna has it."""
    cells: tuple[Cell, ...]
    """All seeds, each on all tasks."""
    found: TuneFile
    study: Study
    folder: BenchFolder
    worker: str
    """Name of the worker, for people."""
    slot: Slot
    data: Path | None
    say: Callable[[str], None]
    stop: threading.Event
    """Set to stop: the training saves, and the trial stays open."""
    _scores: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Train until the trial ends, which the study records, or until `stop` is set."""
        for position, cell in enumerate(self.cells):
            pruned = self._train(cell, position)
            if pruned:
                return
            failure = self.folder.failure(cell)
            if failure is not None:
                self.study.fail(self.trial, f"{cell.name}: {' '.join(failure['tail'][-1:])}")
                return
            if not self.folder.is_done(cell):
                self.stop.set()  # its training was stopped from outside: the machine is being taken away
                return
            score = score_in(self.folder, self.found, cell)
            if score is None:
                name = self.folder.protocol.metric.name
                self.study.fail(self.trial, f"{cell.name}: its result has no finite {name}")
                return
            self._scores[cell.id] = score
            last = position == len(self.cells) - 1
            if not last and self._pruned_at(position, PARTS, mean(self._scores.values())):
                return
        values = list(per_seed(self.cells, self._scores).values())
        self.study.complete(self.trial, objective(values, self.found.direction))

    def _train(self, cell: Cell, position: int) -> bool:
        """Train the cell, unless it is done. Returns whether the trial was pruned meanwhile; its training has saved."""
        if self.stop.is_set():
            return False
        cut, ended = threading.Event(), threading.Event()
        alone = replace(self.folder, plan=replace(self.folder.plan, cells=(cell,)))
        worker, errors = CellWorker(alone, self.worker, self.slot, self.data, self.say, cut), []

        def serve() -> None:
            try:
                worker.run()
            except BaseException as error:
                errors.append(error)
            finally:
                ended.set()

        threading.Thread(target=serve, daemon=True).start()
        pruned = False
        while not ended.wait(LOOK):
            pruned = pruned or self._pruned_in(cell, position)
            if pruned or self.stop.is_set():
                cut.set()
        if errors:
            raise errors[0]
        return pruned or self._pruned_in(cell, position)

    def _pruned_in(self, cell: Cell, position: int) -> bool:
        """Give the pruner what is new in the curve of the cell. Returns whether the trial is pruned."""
        run, task = self.folder.run_of(cell), task_of(cell, self.found.tasks)
        name = curve_for(self.found.tune.curve, self.folder.protocol.metric)
        if not name or not is_run(run):
            return False
        try:
            total, curve = RunFolder.open(run).config.get("steps") or 0, read_metrics(run)
        except InputError:  # just being written
            return False
        for part, value in parts_of(curve, name, float(total)):
            score = score_of(value, task, self.found.normalized)
            if self._pruned_at(position, part, mean([*self._scores.values(), score])):
                return True
        return False

    def _pruned_at(self, position: int, part: int, value: float) -> bool:
        """Give the pruner a value at a part of a training. Returns whether the trial ends, which the study records."""
        if not self.study.report(self.trial, position * PARTS + part, value):
            return False
        cell = self.cells[position]
        where = cell.task if self.found.normalized else ""
        note = f"at {100 * part // PARTS} % of seed {cell.seed}{f' on {where}' if where else ''}"
        self.study.prune(self.trial, note)
        return True


def score_in(folder: BenchFolder, found: TuneFile, cell: Cell) -> float | None:
    """The score of a cell that is done; None if its result lacks the metric, or has no finite number of it."""
    value = row_of(folder, cell)["value"]
    if value is None or not math.isfinite(value):
        return None
    return score_of(value, task_of(cell, found.tasks), found.normalized)
