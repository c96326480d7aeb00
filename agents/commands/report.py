"""`rlgen report`: one page on a run, or a comparison of several."""

import logging
from dataclasses import dataclass
from pathlib import Path

import tyro

from .output import refuse_existing

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write one self-contained web page: results, learning curves, video, configuration and versions.

    For one run it is the run's report.html, also during the training. Several runs are compared; runs that differ only
    in the seed are one line with a band.
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders to report."""
    out: Path | None = None
    """File to write; by default RUN/report.html for one run, comparison.html in the current folder for several."""
    title: str = ""
    """Heading of a comparison."""
    overwrite: bool = False
    """Permission to replace the file if it exists; a run's own report.html needs none."""

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
