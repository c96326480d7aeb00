"""The committed results of the project's own benchmarks are read, and their tables are those of the code."""

from pathlib import Path

import pytest

from rlgen.bench.guards import groups
from rlgen.bench.protocol_file import PROTOCOL, read_protocol, suites
from rlgen.bench.rows import read_rows
from rlgen.bench.summary import markdown

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "experiments").rglob(PROTOCOL))
SUITES = {"gail/paper": "gail-2016", "vime/sparse": "sparse-exploration", "image_models/mnist": "image-mnist"}


def test_every_protocol_of_the_experiments_is_here() -> None:
    assert len(FOLDERS) >= 6


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT / "experiments")))
def test_every_committed_row_has_its_place_and_the_table_is_up_to_date(folder: Path) -> None:
    protocol, results = read_protocol(folder / PROTOCOL), read_rows(folder / "results.csv")
    assert sum(len(rows) for _, rows in groups(protocol, results)) == len(results.rows) > 0
    assert all(row["value"] is not None for row in results.rows)
    assert (folder / "table.md").read_text() == markdown(protocol, results)


@pytest.mark.parametrize("place", SUITES)
def test_a_suite_is_the_protocol_of_its_committed_results(place: str) -> None:
    assert (ROOT / "experiments" / place / PROTOCOL).read_text() == suites()[SUITES[place]].read_text()
