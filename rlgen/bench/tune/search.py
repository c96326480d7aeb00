"""`rlgen tune`: trials of options, whose trainings are cells of a benchmark's folder; then winner and defaults on fresh
seeds."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rlgen.bench.cells import Cell
from rlgen.bench.folder import BenchFolder, Plan
from rlgen.bench.identity import Resolve, identified
from rlgen.bench.local import (
    cores_of_this_machine,
    gpus_of_this_machine,
    run_threads,
    run_workers,
    slots,
    worker_name,
)
from rlgen.bench.protocol import Agent, Options
from rlgen.bench.tune.file import DEFAULT, WINNER, TuneFile, keep, protocol_text, require_own
from rlgen.bench.tune.study import Study, Tried
from rlgen.bench.tune.trial import TrialRun, score_in
from rlgen.bench.worker import Slot
from rlgen.errors import InputError, problem
from rlgen.system.console import number

FAILURES = 3
"""Failed trials without a complete one after which the search ends."""


@dataclass(frozen=True)
class Member:
    """A trial, the defaults or the winner, as an agent of the benchmark."""

    agent: Agent
    cells: tuple[Cell, ...]
    open: bool = True
    """Whether cells that are not done are to be trained."""

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(cell.id for cell in self.cells)


class Tuning:
    """A search in a folder, which must be locked."""

    def __init__(
        self,
        found: TuneFile,
        path: Path,
        plan: Plan,
        resolve: Resolve,
        *,
        trials: int | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """`plan`: version, margin rule and data, without cells. `trials`: number of them, by default the file's."""
        self.found, self.path, self.say = found, path, say
        self.trials = found.tune.trials if trials is None else trials
        self.stop = threading.Event()
        """Set to stop: the trainings save, and the same command continues."""
        self._plan, self._resolve, self._lock = plan, resolve, threading.RLock()
        self._data = None if plan.data is None else Path(plan.data)
        self._members = {DEFAULT: replace(self._member(DEFAULT, {}, found.tune.fresh_seeds), open=False)}
        require_own(found, path)
        self.folder = self._write()  # refuses a folder of something else, before files are added
        keep(found, path)
        self.study = Study(path, found)
        for tried in self.study.tried():
            if tried.same_as is None and len(tried.options) == len(found.tune.space):
                self._recall(tried)
        self.folder = self._write()

    def search(self, jobs: int) -> None:
        """Run trials until there are enough. Ctrl-C is raised again when all trainings have saved."""
        shares = slots(jobs, cores_of_this_machine(), gpus_of_this_machine())
        run_threads([partial(self._serve, slot, job) for job, slot in enumerate(shares)], self.stop, self.say)

    def best(self) -> Tried:
        """The complete trial with the best objective. Raises `InputError` if there is none."""
        complete = [tried for tried in self.study.tried() if tried.objective is not None]
        if not complete:
            reasons = " ".join(tried.note for tried in self.study.tried()[-1:])
            raise problem("a trial that ran to its end", f"none; {reasons}", "correct the file and take another --out")
        choose = max if self.found.direction == "high" else min
        return choose(complete, key=lambda tried: tried.objective or 0.0)

    def confirm(self, jobs: int) -> Tried:
        """Train the winner and the defaults on the fresh seeds. Returns the winner."""
        best = self.best()
        winner = self._member(WINNER, best.options, self.found.tune.fresh_seeds)
        self._members[DEFAULT] = replace(self._members[DEFAULT], open=True)
        if winner.ids != self._members[DEFAULT].ids:
            self._members[WINNER] = winner
        self.folder = self._write()
        self.folder.forget_failures(self.fresh_cells)
        self.say(f"the best is trial {best.number}; now its options and the defaults on fresh seeds")
        run_workers(self.folder, jobs, data=self._data, say=self.say, stop=self.stop)
        return best

    @property
    def fresh_cells(self) -> list[Cell]:
        """The cells on fresh seeds."""
        return [*self.cells_of(DEFAULT), *self.cells_of(WINNER)]

    def cells_of(self, name: str) -> tuple[Cell, ...]:
        """The cells of a trial, of `default` or of `winner`; none where it repeats another one."""
        return self._members[name].cells if name in self._members else ()

    def scores_of(self, cells: Sequence[Cell]) -> dict[str, float]:
        """Identity → score of the cells that are done."""
        scores = {cell.id: score_in(self.folder, self.found, cell) for cell in cells if self.folder.is_done(cell)}
        return {identity: score for identity, score in scores.items() if score is not None}

    def _serve(self, slot: Slot, job: int) -> None:
        """Run one trial after another."""
        while not self.stop.is_set():
            found = self.study.next(self.trials)
            if found is None:
                return
            trial, options = found
            self.say(f"trial {trial.number} ({trial.number + 1} of {self.trials}): {words(options)}")
            cells = self._begun(trial, options)
            if cells:
                worker = worker_name(job)
                common = (self.found, self.study, self.folder, worker, slot, self._data, self.say, self.stop)
                TrialRun(trial, cells, *common).run()
            self._concluded(trial.number)

    def _begun(self, trial: Any, options: Options) -> tuple[Cell, ...]:
        """The cells of a trial, planned now; none for one that repeats another, or that the command refuses."""
        name = name_of_trial(trial.number)
        with self._lock:
            try:
                member = self._member(name, options, self.found.tune.seeds)
            except InputError as error:  # options that do not go together
                self.study.fail(trial, str(error))
                return ()
            same = [other for other, each in self._members.items() if each.ids == member.ids and other != name]
            if same:
                self.study.repeat(trial, number_of_trial(same[0]))
                return ()
            self._members[name] = member
            self.folder = self._write()
            return member.cells

    def _concluded(self, trial: int) -> None:
        """Say how a trial ended, and take what is not to be trained any more out of the plan."""
        tried = self.study.tried()[trial]
        name = name_of_trial(trial)
        with self._lock:
            if tried.state in ("pruned", "failed") and name in self._members:
                self._members[name] = replace(self._members[name], open=False)
                self.folder = self._write()
        if tried.state == "running":
            return
        end = f"objective {number(tried.objective)}" if tried.objective is not None else tried.note
        self.say(f"trial {trial} {tried.state}: {end}")
        everything = self.study.tried()
        failed = sum(each.state == "failed" for each in everything)
        if failed >= FAILURES and not any(each.state == "complete" for each in everything):
            remedy = "correct the file, and give the search another --out"
            raise problem("a trial that trains", f"{failed} failed ones; {tried.note}", remedy)

    def _recall(self, tried: Tried) -> None:
        """Plan the cells of a trial that an earlier process began."""
        name = name_of_trial(tried.number)
        try:
            member = self._member(name, tried.options, self.found.tune.seeds)
        except InputError:  # it has failed for this
            return
        if any(each.ids == member.ids for each in self._members.values()):
            return  # killed before it was noted that it repeats another one
        self._members[name] = replace(member, open=tried.state in ("running", "complete"))

    def _member(self, name: str, options: Options, seeds: Sequence[int]) -> Member:
        cells = self.found.cells_of(options, seeds, name)
        known = identified(cells, self._resolve, self._data, self._plan.rlgen, self._plan.margin_rule)
        return Member(self.found.agent(options, seeds), tuple(known))

    def _write(self) -> BenchFolder:
        """The folder with the plan of all members."""
        trials = sorted(name for name in self._members if name not in (DEFAULT, WINNER))
        names = [*trials, *(name for name in (WINNER, DEFAULT) if name in self._members)]
        protocol = self.found.protocol_of({name: self._members[name].agent for name in names})
        runs = BenchFolder(self.path, protocol, self._plan)
        members = [self._members[name] for name in names]
        cells = [cell for each in members for cell in each.cells if each.open or runs.is_done(cell)]
        return BenchFolder.prepare(self.path, protocol_text(protocol), replace(self._plan, cells=tuple(cells)))


def name_of_trial(number: int) -> str:
    """Name of a trial as an agent of the benchmark."""
    return f"trial-{number:03d}"


def number_of_trial(name: str) -> int:
    return int(name.rpartition("-")[2])


def words(options: Options) -> str:
    """Options for people, with four digits."""
    return ", ".join(f"{name} {shown(value)}" for name, value in options.items())


def shown(value: Any) -> str:
    """A value of an option, with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
