"""`rlgen report`: one page about a run, or about several beside each other."""

import logging
from dataclasses import dataclass
from pathlib import Path

import tyro

from .output import refuse_existing

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write one web page that needs no other file: results, learning curves, video, configuration and versions.

    Of one run it is the run's report.html, also while the run is going on. Several runs are compared; runs that differ
    in nothing but the seed count as one line with a band.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path | None = None
    """File to write: RUN/report.html of one run, comparison.html here of several, when left out."""
    title: str = ""
    """Heading of a comparison."""
    overwrite: bool = False
    """Replace the file if it exists; a run's own report.html always is."""

    def run(self) -> int:
        from rlgen.reports.report import write_report
        from rlgen.runs.folder import RunFolder

        from .resume import shown

        out = self.out or (Path("comparison.html") if len(self.runs) > 1 else None)
        if out is not None:
            refuse_existing(out, self.overwrite)
        folders = [shown(RunFolder.open(run)) for run in self.runs]
        path = write_report(folders[0], out) if len(folders) == 1 else write_report(folders, out, title=self.title)
        log.info("wrote %s", path)
        return 0
