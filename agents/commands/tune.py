"""`rlgen tune`: options of an agent, chosen by trials over several seeds."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

import rlgen
from rlgen.errors import problem

from .bench import coordinating, data_folder, margin_rule, resolved

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class Tune:
    """Choose options of an agent: trials over several seeds, then the winner and the defaults on fresh seeds.

    The file is a benchmark's protocol with a table [tune], which docs/tune.md describes. Needs the extra `tune`:
    pip install 'rlgen[tune]'. The search may be interrupted and started again; nothing is trained twice.
    """

    file: Positional[Path]
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
        from rlgen.bench.tune import Tuning
        from rlgen.bench.tune_file import check_options, read_tune_file
        from rlgen.bench.tune_report import write_report
        from rlgen.bench.tune_space import defaults_in
        from rlgen.bench.tune_study import optuna_or_error

        found = read_tune_file(self.file)
        optuna_or_error()
        data = data_folder(self.data) or self.file.parent.resolve()
        config = check_options(found, resolved, data)
        plan = Plan(rlgen=rlgen.__version__, margin_rule=margin_rule(), quick=False, data=str(data), cells=())
        self.out.mkdir(parents=True, exist_ok=True)
        with coordinating(self.out):
            tuning = Tuning(found, self.out, plan, resolved, trials=self.trials, say=log.info)
            tuning.study.begin_with(defaults_in(found.tune.space, config))
            try:
                tuning.search(self.jobs)
            finally:
                write_report(tuning, None)
            if tuning.stop.is_set():
                log.warning("stopped; the same command continues")
                return 1
            return concluded(tuning, tuning.confirm(self.jobs))


def concluded(tuning: Any, best: Any) -> int:
    """Write and print the results. Returns the exit code: 1 if a training on fresh seeds failed."""
    from rlgen.bench.tune_report import write_report

    from .bench_results import reported

    reported(tuning.path, tuning.folder)
    print(write_report(tuning, best))
    failed = [cell for cell in tuning.fresh_cells if tuning.folder.failure(cell) is not None]
    for cell in failed:
        log.warning("failed: %s (%s)", cell.name, tuning.folder.log_of(cell))
    return 1 if failed else 0
