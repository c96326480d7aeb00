"""`rlgen bench diff | power`: what changed between two benchmarks, and how many seeds a benchmark still needs."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from rlgen.errors import problem

from .output import refuse_existing


@dataclass(frozen=True, kw_only=True)
class BenchDiff:
    """Compare two benchmarks row by row, e.g. of two versions. The exit code is 1 if a row is worse in the second or
    lacks values of the first, 2 if they cannot be compared, else 0.

    A row is worse if all its seeds are below all those of the first (three of each), or if, from five seeds on, the
    interval of the difference excludes 0 and its p-value, corrected for the number of rows, is below 0.05.
    """

    a: Positional[Path]
    """Folder of the first benchmark; one with results.csv and protocol.toml alone will do."""
    b: Positional[Path]
    """Folder of the second benchmark."""
    out: Path | None = None
    """File (Markdown) for the report; by default it is printed."""
    overwrite: bool = False
    """Permission to replace that file if it exists."""

    def run(self) -> int:
        from rlgen.bench.benchmark import Benchmark
        from rlgen.bench.diff import changes, lost, report
        from rlgen.system.files import atomic_write, make_parent

        if self.out is not None:
            refuse_existing(self.out, self.overwrite)
        a, b = Benchmark.read(self.a), Benchmark.read(self.b)
        found = changes(a, b)
        text = report(a, b, found).markdown()
        if self.out is None:
            print(text)
        else:
            make_parent(self.out)
            atomic_write(self.out, text)
        return 1 if lost(a, b) or any(change.verdict == "worse" for change in found) else 0


@dataclass(frozen=True, kw_only=True)
class BenchPower:
    """Show how many more seeds a benchmark needs for intervals of a wanted width, or to find the differences."""

    folder: Positional[Path]
    """Folder of the benchmark; one with results.csv and protocol.toml alone will do."""
    width: float | None = None
    """Wanted half-width of the 95 % interval of each row, in the metric's unit."""
    share: float | None = None
    """The same as a share of the row's mean, e.g. 0.05."""
    power: float | None = None
    """Wanted probability that a comparison with the baseline finds the observed difference, e.g. 0.8."""

    def __post_init__(self) -> None:
        from rlgen.bench.power import require_positive

        if self.width is not None and self.share is not None:
            raise problem("--width or --share", "both", "leave one out")
        if self.width is None and self.share is None and self.power is None:
            raise problem("--width, --share or --power", "none of them", "e.g. --share 0.05 --power 0.8")
        require_positive("width", self.width)
        require_positive("share", self.share)
        require_positive("power", self.power, 1)

    def run(self) -> None:
        from rlgen.bench.benchmark import Benchmark
        from rlgen.bench.power import for_power, for_width

        found = Benchmark.read(self.folder)
        protocol, results = found.protocol, found.results
        grids = []
        if self.power is None or self.width or self.share:
            grids.append(for_width(protocol, results, self.width, self.share))
        if self.power is not None:
            grids.append(for_power(protocol, results, self.power))
        print("\n".join(f"## {grid.title}\n\n{grid.markdown()}" for grid in grids))
