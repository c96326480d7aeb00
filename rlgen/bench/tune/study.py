"""The search of `rlgen tune`: Optuna's study, kept in the folder of the benchmark.

Its journal is a file of JSON lines. Optuna pickles snapshots of the journal only for Redis, so reading a folder of
someone else runs no code of it.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rlgen.bench.protocol import Options
from rlgen.bench.tune.file import Tune, TuneFile
from rlgen.bench.tune.objective import PARTS
from rlgen.errors import problem
from rlgen.system.files import atomic_write

JOURNAL, NAME = "journal.log", "tune"
STARTUP = 5
"""Trials with options drawn at random before Optuna's sampler learns from them."""
SAME, FAILED, NOTE = "same as trial", "failed", "note"
"""Attributes of a trial."""

State = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True)
class Tried:
    """A trial as the journal has it."""

    number: int
    options: Options
    state: State
    objective: float | None
    """The objective of a complete trial."""
    note: str = ""
    """When it was pruned, why it failed, or which trial it repeats."""
    same_as: int | None = None
    """Earlier trial with the same options."""


class Study:
    """Trials, their options and their ends. Threads may share it."""

    def __init__(self, folder: Path, found: TuneFile) -> None:
        """Open the journal in `folder`, or begin one. Raises `InputError` without Optuna, and for a damaged journal."""
        optuna = optuna_or_error()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._tune, self._lock = optuna, found.tune, threading.RLock()
        path = folder.resolve() / JOURNAL
        _repair(path)
        try:
            self._storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=NAME,
                direction="maximize" if found.direction == "high" else "minimize",
                pruner=_pruner(optuna, found.tune),
                load_if_exists=True,
            )
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            raise problem(f"a journal of trials at {path}", str(error), "start another folder with --out") from error
        running = self._study.get_trials(states=[optuna.trial.TrialState.RUNNING])
        self._left = [self._resumed(trial.number) for trial in running]

    def begin_with(self, options: Options | None) -> None:
        """Let the first trial of a new study have these options."""
        if options is not None and not self._study.trials:
            self._study.enqueue_trial({name: each.stored(options[name]) for name, each in self._tune.space.items()})

    def next(self, trials: int) -> tuple[Any, Options] | None:
        """A trial that an earlier process left, else a new one while there are fewer than `trials`; None after them."""
        with self._lock:
            if self._left:
                trial = self._left.pop(0)
            elif len(self.tried()) < trials:
                trial = self._study.ask()
            else:
                return None
            self._study.sampler = self._sampler(trial.number)
            return trial, {name: each.suggest(trial, name) for name, each in self._tune.space.items()}

    def report(self, trial: Any, step: int, value: float) -> bool:
        """Give the pruner the value at `step`. Returns whether it ends the trial."""
        with self._lock:
            known = self._study.get_trials(deepcopy=False)[trial.number].intermediate_values
            if step < max(known, default=0):
                return False
            if step not in known:  # else a process was killed between the value and the pruner's answer
                trial.report(value, step)
            return trial.should_prune()

    def complete(self, trial: Any, value: float) -> None:
        """End the trial with its objective."""
        with self._lock:
            self._study.tell(trial, value)

    def prune(self, trial: Any, note: str) -> None:
        """End the trial early. `note`: when."""
        self._end(trial, NOTE, note)

    def fail(self, trial: Any, reason: str) -> None:
        """End a trial whose training failed. To the sampler it is a bad one, so that it tries other options."""
        self._end(trial, FAILED, reason)

    def repeat(self, trial: Any, number: int) -> None:
        """End the trial as the earlier one with the same options has ended."""
        earlier = self.tried()[number]
        with self._lock:
            trial.set_user_attr(SAME, number)
            if earlier.objective is None:
                self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
            else:
                self._study.tell(trial, earlier.objective)

    def tried(self) -> list[Tried]:
        """All trials that have begun, in order."""
        with self._lock:
            waiting = self._optuna.trial.TrialState.WAITING
            return [self._tried(each) for each in self._study.get_trials() if each.state != waiting]

    def _end(self, trial: Any, attribute: str, text: str) -> None:
        with self._lock:
            trial.set_user_attr(attribute, text)
            self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)

    def _tried(self, trial: Any) -> Tried:
        attributes, name = trial.user_attrs, trial.state.name.lower()
        state: State = "failed" if FAILED in attributes else name if name in ("running", "complete") else "pruned"
        same = attributes.get(SAME)
        note = attributes.get(FAILED) or attributes.get(NOTE) or ("" if same is None else f"{SAME} {same}")
        value = trial.value if state == "complete" else None
        options = {
            name: each.restored(trial.params[name]) for name, each in self._tune.space.items() if name in trial.params
        }
        return Tried(trial.number, options, state, value, note, same)

    def _sampler(self, number: int) -> Any:
        """The sampler of a trial. Its draws depend on the trial's number and on the trials before it, not on how often
        the search was interrupted."""
        seed = int(np.random.SeedSequence([self._tune.seed, number]).generate_state(1)[0])
        return self._optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)

    def _resumed(self, number: int) -> Any:
        """A running trial of an earlier process.

        Optuna's documented way, to fail it and enqueue its options again, would give it another number and count it
        twice in the pruner's comparisons.
        """
        study_id = self._storage.get_study_id_from_name(NAME)
        return self._optuna.Trial(self._study, self._storage.get_trial_id_from_study_id_trial_number(study_id, number))


def optuna_or_error() -> Any:
    """The module optuna. Raises `InputError` without it."""
    try:
        import optuna
        import optuna.storages.journal
    except ImportError as error:
        raise problem("the package optuna, which chooses options", str(error), "pip install 'rlgen[tune]'") from error
    return optuna


def _pruner(optuna: Any, tune: Tune) -> Any:
    """Halving: half of the trials that got there go on, after half of the first training, after the first, the second,
    the fourth. Median: a trial ends below the median of the complete ones, from the end of the first training on."""
    if tune.pruner == "halving":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=PARTS // 2, reduction_factor=2)
    if tune.pruner == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=PARTS - 1)
    return optuna.pruners.NopPruner()


def _repair(path: Path) -> None:
    """Cut a last line that a full disk or a power cut left incomplete, and remove the lock of a killed process. The
    folder is locked, so no other process writes the journal."""
    for name in (f"{JOURNAL}.lock", f"{JOURNAL}.lock.rename"):
        path.with_name(name).unlink(missing_ok=True)
    if path.is_file() and not (content := path.read_bytes()).endswith(b"\n"):
        atomic_write(path, content[: content.rfind(b"\n") + 1])
