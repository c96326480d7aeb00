"""`rlgen tune`: options of an agent, chosen by trials over several seeds."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

import rlgen
from rlgen.errors import problem

from .bench import coordinating
from .bench_planning import data_folder, data_of, margin_rule, require_inputs, resolved

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class Tune:
    """Choose options of an agent: trials over several seeds, then the winner and the defaults on fresh seeds.

    FILE is a benchmark's protocol (docs/bench.md) with entries of [tune], for example, at its top:

    tune.agent = "ppo"

    tune.seeds = [0, 1, 2]

    tune.fresh_seeds = [10, 11, 12, 13, 14]

    tune.space."learner.learning-rate" = { low = 1e-4, high = 1e-2, log = true }

    A trial counts as much as the bad end of the interval over its seeds, so that luck does not win; bad trials end
    early. tune.md in the folder has every trial and the comparison on the fresh seeds, winner.toml the winner. The
    search may be interrupted and started again; nothing is trained twice. docs/tune.md has all entries. Needs
    Optuna: pip install 'rlgen[tune]'.
    """

    file: Positional[Annotated[Path, arg(metavar="FILE")]]
    """Protocol with a table [tune]."""
    out: Path
    """Folder of the search; new, empty, or of an earlier run."""
    trials: int | None = None
    """Number of trials; by default that of the file."""
    jobs: int = 1
    """Trials at a time; each gets its share of the cores, one thread, and one GPU in turn."""
    data: Path | None = None
    """Folder of demonstrations and images; by default RLGEN_DATA, else the file's own folder."""

    def __post_init__(self) -> None:
        for name, value in (("jobs", self.jobs), ("trials", self.trials)):
            if value is not None and value < 1:
                raise problem(f"{name} of at least 1", str(value), "leave it out for the default")

    def run(self) -> int:
        from rlgen.bench.folder import Plan
        from rlgen.bench.tune.file import DEFAULT, check_options, read_tune_file
        from rlgen.bench.tune.report import write_report
        from rlgen.bench.tune.search import Tuning
        from rlgen.bench.tune.space import defaults_in
        from rlgen.bench.tune.study import optuna_or_error

        found = read_tune_file(self.file)
        optuna_or_error()
        data = data_folder(self.data) or data_of(self.file)
        config = check_options(found, resolved, data)
        plan = Plan(rlgen=rlgen.__version__, margin_rule=margin_rule(), quick=False, data=str(data), cells=())
        require_inputs(replace(plan, cells=tuple(found.cells_of({}, found.tune.seeds, DEFAULT))))
        self.out.mkdir(parents=True, exist_ok=True)
        with coordinating(self.out):
            tuning = Tuning(found, self.out, plan, resolved, trials=self.trials, say=log.info)
            tuning.study.begin_with(defaults_in(found.tune.space, config))
            try:
                tuning.search(self.jobs)
            except BaseException:
                write_report(tuning, None)
                raise
            if tuning.stop.is_set():
                write_report(tuning, None)
                log.warning("stopped; the same command continues")
                return 1
            return concluded(tuning, tuning.confirm(self.jobs))


def concluded(tuning: Any, best: Any) -> int:
    """Write and print the results. Returns the exit code: 1 if a training on fresh seeds failed or was stopped."""
    from rlgen.bench.tune.report import write_report

    from .bench_results import reported

    reported(tuning.path, tuning.folder)
    print(write_report(tuning, best))
    failed = [cell for cell in tuning.fresh_cells if tuning.folder.failure(cell) is not None]
    for cell in failed:
        log.warning("failed: %s (%s)", cell.name, tuning.folder.log_of(cell))
    left = [cell for cell in tuning.fresh_cells if not tuning.folder.is_done(cell)]
    if left and not failed:
        log.warning("a training was stopped from outside: %d cells are left; the same command continues", len(left))
    return 1 if failed or left else 0
