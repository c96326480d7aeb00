"""`rlgen bench status | report`: how far a benchmark is, and its table and page."""

import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

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


@dataclass(frozen=True, kw_only=True)
class BenchReport:
    """Write results.csv, table.md, curves.parquet and report.html of the cells that are done, and print the table."""

    folder: Positional[Path]
    """Folder of the benchmark; one with results.csv and protocol.toml alone will do."""

    def run(self) -> None:
        print(reported(self.folder))


def reported(path: Path, folder: "BenchFolder | None" = None) -> str:
    """Write the files of the results. Returns the table."""
    from rlgen.bench.folder import PLAN, BenchFolder
    from rlgen.bench.protocol import PROTOCOL, read_protocol
    from rlgen.bench.results import RESULTS, collect, read_rows
    from rlgen.bench.table import markdown
    from rlgen.system.files import atomic_write

    if folder is None and (path / PLAN).is_file():
        folder = BenchFolder.open(path)
    if folder is None:
        protocol, results, planned = read_protocol(path / PROTOCOL), read_rows(path / RESULTS), None
    else:
        protocol, results, planned = folder.protocol, collect(folder), len(folder.plan.cells)
    text = markdown(protocol, results, planned)
    atomic_write(path / "table.md", text)
    return text
