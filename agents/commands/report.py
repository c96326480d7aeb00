"""`rlgen report`: one page about a run, or about several beside each other."""

import logging
from dataclasses import dataclass
from pathlib import Path

import tyro

from rlgen.errors import problem

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

    def __post_init__(self) -> None:
        if self.out is not None and not self.out.parent.is_dir():
            raise problem("a file in a folder that exists", str(self.out), "make the folder, or leave --out out")

    def run(self) -> int:
        from rlgen.runs.report import write_report

        if len(self.runs) == 1:
            path = write_report(self.runs[0], self.out)
        else:
            path = write_report(self.runs, self.out or Path("comparison.html"), title=self.title)
        log.info("wrote %s", path)
        return 0
