"""`rlgen bench status`: how far a benchmark is; and the files of its results."""

import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from rlgen.errors import problem

if TYPE_CHECKING:
    from rlgen.bench.folder import BenchFolder

log = logging.getLogger("rlgen")
REFRESH = 2.0
"""Seconds between two looks of the live table."""


@dataclass(frozen=True, kw_only=True)
class BenchStatus:
    """Show what is done, what runs where, what failed and how long the rest takes; live on a terminal."""

    folder: Positional[Path]
    """Folder of the benchmark."""
    once: bool = False
    """One look instead of a live table."""

    def run(self) -> None:
        from rich.live import Live

        from rlgen.bench.folder import BenchFolder
        from rlgen.bench.local import worker_name
        from rlgen.bench.status import all_progress, is_over, table
        from rlgen.system.console import Console

        folder, console = BenchFolder.open(self.folder), Console()
        leases = folder.leases(worker_name())
        found = all_progress(folder, leases)
        if self.once or is_over(found) or not sys.stdout.isatty():
            console.print(table(found))
            return
        with Live(table(found), console=console, auto_refresh=False) as live:
            while not is_over(found):
                time.sleep(REFRESH)
                folder = BenchFolder.open(self.folder)
                found = all_progress(folder, leases)
                live.update(table(found), refresh=True)


def require_runs(folder: "BenchFolder") -> None:
    """Raise `InputError` if results.csv has planned cells whose run folders are gone: their results would be lost."""
    from rlgen.bench.folder import is_run
    from rlgen.bench.rows import RESULTS, read_rows

    if not (folder.path / RESULTS).is_file():
        return
    kept = {row["cell"] for row in read_rows(folder.path / RESULTS).rows}
    gone = [cell.name for cell in folder.plan.cells if cell.id in kept and not is_run(folder.run_of(cell))]
    if gone:
        names = ", ".join(gone[:3]) + (f" and {len(gone) - 3} more" if len(gone) > 3 else "")
        apart = f"a copy of {RESULTS}, curves.parquet and protocol.toml"
        remedy = f"restore them, or report on {apart}, or remove {RESULTS}"
        raise problem(f"the runs of all cells in {folder.path / RESULTS}", f"none of {names}", remedy)


def reported(path: Path, folder: "BenchFolder | None" = None) -> str:
    """Write the files of the results. Returns the table."""
    from rlgen.bench.benchmark import Benchmark
    from rlgen.bench.page import page_of
    from rlgen.bench.results import write_results
    from rlgen.bench.summary import markdown
    from rlgen.system.files import atomic_write

    found = Benchmark.read(path) if folder is None else Benchmark.of(folder)
    if found.folder is not None:
        require_runs(found.folder)
        write_results(found.folder, found.results)
    text = markdown(found.protocol, found.results, found.planned)
    atomic_write(path / "table.md", text)
    atomic_write(path / "report.html", page_of(found).html())
    return text
