"""Rows of finished cells, and the table that is made of them."""

import csv
from pathlib import Path

import numpy as np
import pytest

from rlgen.bench.folder import BenchFolder
from rlgen.bench.protocol import Metric
from rlgen.bench.protocol_file import parse_protocol
from rlgen.bench.results import (
    CURVES,
    RESULTS,
    Results,
    crossing_of,
    finished,
    read_rows,
    value_of,
    write_results,
    write_rows,
)
from rlgen.bench.summary import markdown
from rlgen.bench.table import lines
from rlgen.errors import InputError

from .conftest import TINY, finish


def collect(folder: BenchFolder) -> Results:
    """The rows of the finished cells, which are also written."""
    results = finished(folder)
    write_results(folder, results)
    return results


def test_the_table_has_random_the_agents_their_seeds_the_expert_and_the_published_number(tiny: BenchFolder) -> None:
    for index, value in enumerate((-150.0, -300.0, -170.0, -310.0)):
        finish(tiny, index, value)
    results = collect(tiny)
    found = lines(tiny.protocol, results)
    assert [line.agent for line in found] == ["random", "ppo", "a2c", "expert"]
    random, ppo, _, expert = found
    assert (random.value, random.score, expert.value, expert.score) == ("-1,200", "0.000", "-150.0", "1.000")
    assert ppo.value == "-160.0 (-170.0 to -150.0)"
    assert ppo.each == "-150.0, -170.0"
    assert float(ppo.score) == pytest.approx((-160 + 1200) / 1050, abs=1e-3)
    assert (ppo.published, ppo.minutes, ppo.flags) == ("-172.2", "1.0", "tuned on seed 1")
    text = markdown(tiny.protocol, results, 4)
    assert "The final policy, not the best, plays 50 episodes from evaluation seed 10000" in text
    assert "**Flagged**: ppo: tuned on seed 1." in text
    assert "Unfinished" not in text
    assert "mixed" not in text


def test_further_columns_of_the_table_are_statistics_over_seeds(tiny: BenchFolder) -> None:
    for index, value in enumerate((-150.0, -300.0, -170.0)):
        finish(tiny, index, value)
    columns = """columns = [
    "return_min", { name = "return_min", label = "worst", over = "lowest" },
    { name = "return_min", over = "median" }, { name = "fid", over = "number" }, "fid",
]
[options]"""
    protocol = parse_protocol(TINY.replace("[options]", columns))
    head, _, random, ppo, a2c, *_ = markdown(protocol, collect(tiny)).splitlines()[2:]
    assert head.endswith("| flags | return_min | worst | return_min | fid | fid |")
    assert random.endswith("| – | – | – | – | – |")
    assert ppo.endswith("| -161.0 | -171.0 | -161.0 (-171.0 to -151.0) | 0 | – |")
    assert a2c.endswith("| -301.0 | -301.0 | -301.0 | 0 | – |")


def test_an_unfinished_benchmark_and_mixed_machines_are_said_and_speeds_are_not_compared(tiny: BenchFolder) -> None:
    finish(tiny, 0, -150.0, cpu="one")
    finish(tiny, 1, -150.0, cpu="another")
    results = collect(tiny)
    text = markdown(tiny.protocol, results, len(tiny.plan.cells))
    assert "**Unfinished**: 2 of 4 cells." in text
    assert "**Machines mixed**, so no speeds" in text
    assert {line.minutes for line in lines(tiny.protocol, results)} == {"–"}


def test_results_are_read_back_as_they_were_written(tiny: BenchFolder, tmp_path: Path) -> None:
    finish(tiny, 0, -150.123456789012345)
    results = collect(tiny)
    again = read_rows(tiny.path / RESULTS)
    (row,), (read,) = results.rows, again.rows
    assert read["value"] == row["value"]
    assert read["cell"] == row["cell"]
    assert read["trajectories"] is None
    assert markdown(tiny.protocol, again) == markdown(tiny.protocol, results)
    with (tiny.path / RESULTS).open(newline="") as file:
        assert next(csv.reader(file))[:5] == ["cell", "task", "trajectories", "agent", "seed"]


def test_a_table_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="columns cell, task"):
        read_rows(tmp_path / "results.csv")


def test_an_identity_that_reads_as_a_number_stays_a_text(tmp_path: Path) -> None:
    key = {"cell": "4711e2345678", "task": "1.0", "trajectories": 4, "agent": "1e3", "seed": 0, "metric": "m"}
    write_rows(tmp_path / RESULTS, [key | {"value": 1.0}])
    (row,) = read_rows(tmp_path / RESULTS).rows
    assert {name: row[name] for name in key} == key


def test_curves_are_kept_per_cell(tiny: BenchFolder) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    finish(tiny, 0, -150.0)
    finish(tiny, 1, -160.0)
    collect(tiny)
    table = parquet.read_table(tiny.path / CURVES).to_pydict()
    assert table["step"] == [10, 50, 95, 100] * 2
    assert table["rollout/ep_rew_mean"][:4] == [-140.0, -100.0, -55.0, -50.0]
    assert table["agent"] == ["ppo"] * 4 + ["a2c"] * 4


def test_a_metric_is_an_entry_or_a_statistic_of_a_curve() -> None:
    curve = {"step": np.arange(1.0, 101.0), "x": np.linspace(100, 1, 100)}
    assert value_of(Metric(), {"return_mean": 3.0}, curve, Path()) == 3.0
    assert value_of(Metric(name="x", take="last"), {}, curve, Path()) == pytest.approx(5.5)
    assert value_of(Metric(name="x", take="fall"), {}, curve, Path()) == pytest.approx(1 - 5.5 / 100)
    assert value_of(Metric(name="y", take="last"), {}, curve, Path()) is None
    with pytest.raises(InputError, match="a number fid"):
        value_of(Metric(name="fid"), {"fid": "good"}, curve, Path())


def test_the_time_to_a_threshold_is_the_first_crossing_or_none() -> None:
    curve = {"step": np.array([1.0, 2, 3, 4]), "r": np.array([0, np.nan, 5, 1])}
    assert crossing_of(curve, "r", 4) == (3.0, 4.0)
    assert crossing_of(curve, "r", 6) == (None, 4.0)
    assert crossing_of(curve, "r", None) == (None, 4.0)
    assert crossing_of(curve, "s", 1) == (None, None)


def test_rows_of_other_metrics_get_columns_after_the_common_ones(tmp_path: Path) -> None:
    key = {"cell": "a", "task": "t", "trajectories": None, "agent": "ppo", "seed": 0, "metric": "m", "value": 1.0}
    write_rows(tmp_path / RESULTS, [key | {"fid": 2.5}, key | {"seed": 1, "zebra": "x"}])
    first, second = read_rows(tmp_path / RESULTS).rows
    assert first["fid"] == 2.5
    assert first["zebra"] is None
    assert second["zebra"] == "x"
    assert lines(parse_protocol(TINY), Results([])) == []
