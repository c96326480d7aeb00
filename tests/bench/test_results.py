"""Rows of finished cells, and the table that is made of them."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rlgen.agents.commands.bench_results import reported
from rlgen.bench.folder import BenchFolder
from rlgen.bench.guards import guards, one_machine
from rlgen.bench.protocol import Metric
from rlgen.bench.protocol_file import parse_protocol
from rlgen.bench.results import CURVES, crossing_of, finished, machine_of, row_of, value_of, write_results
from rlgen.bench.rows import RESULTS, Results, by_seed, read_rows, write_rows
from rlgen.bench.summary import markdown
from rlgen.bench.table import lines
from rlgen.errors import InputError
from rlgen.runs.config import write_json
from rlgen.runs.folder import RunFolder

from .conftest import TINY, finish, rows_of


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
    empty = {name: values[:0] for name, values in curve.items()}
    assert value_of(Metric(name="x", take="last"), {}, empty, Path()) is None
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


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ((",-1.0,", ",-1.0\n"), "as many entries as there are columns in line 2"),
        ((",0,m,", ",zero,m,"), "a whole number for seed in line 2"),
        ((",0,m,", ",,m,"), "a whole number for seed in line 2"),
        (("-1.0", "minus"), "a number for value in line 2"),
        ((",1,m,", ",0,m,"), "one row for each cell; got another one in line 3"),
    ],
)
def test_an_edited_table_is_refused_with_the_line(change: tuple[str, str], told: str, tmp_path: Path) -> None:
    key = {"cell": "a", "task": "t", "trajectories": None, "agent": "ppo", "metric": "m"}
    path = tmp_path / RESULTS
    write_rows(path, [key | {"seed": 0, "value": -1.0, "score": 0.5}, key | {"seed": 1, "value": -2.0, "score": 0.5}])
    assert len(read_rows(path).rows) == 2
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(InputError, match=told):
        read_rows(path)


def test_a_table_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / RESULTS
    key = {"cell": "a", "task": "t", "trajectories": None, "agent": "ppo", "seed": 0, "metric": "m", "value": 1.0}
    write_rows(path, [key | {"zebra": 1234.5}])
    path.write_text(path.read_text()[:-3])
    with pytest.raises(InputError, match="complete lines"):
        read_rows(path)


def test_numbers_that_are_not_finite_are_read_back_and_left_out_of_the_table(tmp_path: Path) -> None:
    path = tmp_path / RESULTS
    write_rows(path, rows_of("Pendulum-v1", "ppo", [-1.0, float("nan"), None]))
    results, protocol = read_rows(path), parse_protocol(TINY)
    assert by_seed(results.rows) == {0: -1.0}
    (line,) = [line for line in lines(protocol, results) if not line.reference]
    assert (line.seeds, line.value) == ("1 of 3", "-1.000")
    (note,) = [note for note in guards(protocol, results) if "Without a value" in note]
    assert note == ("**Without a value**: return_mean of ppo on Pendulum-v1, seed 1 (nan), 2 (not among its results).")


def test_columns_of_speeds_are_left_empty_where_machines_are_mixed() -> None:
    protocol = parse_protocol('columns = ["env_steps_per_second", "return_min"]\n' + TINY)
    rows = rows_of("Pendulum-v1", "ppo", [1.0, 2.0], env_steps_per_second=100.0, return_min=0.5, machine="one")
    assert lines(protocol, Results(rows))[0].columns == ("100.0", "0.500")
    rows[1]["machine"] = "another"
    assert lines(protocol, Results(rows))[0].columns == ("–", "0.500")


def test_guards_name_few_episodes_shared_seeds_and_mixed_commits() -> None:
    def notes(**columns: object) -> str:
        rows = rows_of("Pendulum-v1", "ppo", [1.0, 2.0], **{"evaluation_seed": 10_000, "episodes": 50, **columns})
        rows[1] |= {"seed": 9_990, "git_commit": "b" * 40}
        return " ".join(guards(parse_protocol(TINY), Results(rows)))

    assert "plays 50 episodes from evaluation seed 10000, apart from the trainings'" in notes(n_envs=10)
    assert "**also trained on** with seed 9990" in notes(n_envs=11)
    assert "Few episodes" not in notes()
    assert "The final policy, not the best, plays" in notes()
    flagged = parse_protocol(TINY.replace("[agents.ppo]", '[agents.ppo]\nflags = ["best checkpoint"]'))
    played = Results(rows_of("Pendulum-v1", "ppo", [1.0], evaluation_seed=10_000))
    assert guards(flagged, played)[0].startswith("The **best checkpoint of ppo**, else the final policy, plays")
    assert "plays 1 episode from" in notes(episodes=1)
    assert "**Few episodes**: fewer than 50" in notes(episodes=1)
    assert "**Commits mixed**: aaaaaaaa, bbbbbbbb." in notes(git_commit="a" * 40)


def test_low_values_reach_a_threshold_from_above(tiny: BenchFolder) -> None:
    curve = {"step": np.array([1.0, 2, 3]), "fid": np.array([300.0, 40, 60])}
    assert crossing_of(curve, "fid", 50, from_above=True) == (2.0, 3.0)
    low = replace(tiny.protocol, metric=replace(tiny.protocol.metric, better="low"))
    tasks = (replace(low.tasks[0], threshold=-100.0),)
    finish(tiny, 0, -150.0)  # its curve: -140, -100, -55, -50
    found = {
        better: row_of(replace(tiny, protocol=replace(protocol, tasks=tasks)), tiny.plan.cells[0])["time_to_threshold"]
        for better, protocol in {"low": low, "high": tiny.protocol}.items()
    }
    assert found == {"low": 10.0, "high": 50.0}


def test_a_run_that_was_resumed_on_another_machine_has_both_and_no_comparable_speed(tiny: BenchFolder) -> None:
    finish(tiny, 0, -200.0)
    run = RunFolder.open(tiny.run_of(tiny.plan.cells[0]))
    began = run.versions
    same, other = {"changed": {"git_commit": ["a", "b"]}}, {"changed": {"cpu": [began["cpu"], "other"]}}
    write_json(run / "versions.json", {**began, "sittings": [same]})
    assert one_machine(finished(tiny))
    write_json(run / "versions.json", {**began, "sittings": [same, other]})
    (row,) = finished(tiny).rows
    assert row["machine"] == f"{machine_of(began)}, then other, {began['cores']} cores, {began['device']}"
    assert not one_machine(Results([row]))
    assert "| – |" in markdown(tiny.protocol, Results([row]))


def test_missing_references_are_named_with_their_task() -> None:
    protocol = parse_protocol(
        TINY.replace("expert = -150.0", "")
        .replace("[[tasks]]", '[[tasks]]\nname = "other"\nenv = "CartPole-v1"\nexpert = 1.0\nrandom = 0.0\n\n[[tasks]]')
        .replace("[agents.ppo]", '[agents.bc]\ncommand = "train bc"\n\n[agents.ppo]')
    )
    played = {"evaluation_seed": 10_000, "episodes": 50}
    rows = [*rows_of("other", "ppo", [1.0], **played), *rows_of("Pendulum-v1", "ppo", [1.0], **played)]
    assert "**Missing rows**: random (on Pendulum-v1)." in guards(protocol, Results(rows))
    rows = [*rows_of("other", "ppo", [1.0], **played)]
    assert "Further rows: random." in guards(protocol, Results(rows))


def test_results_whose_runs_are_gone_are_not_overwritten(tiny: BenchFolder) -> None:
    finish(tiny, 0, -200.0)
    reported(tiny.path)
    kept = (tiny.path / RESULTS).read_text()
    shutil.rmtree(tiny.run_of(tiny.plan.cells[0]))
    with pytest.raises(InputError, match=r"the runs of all cells in .*results.csv; got none of Pendulum-v1-ppo-seed0"):
        reported(tiny.path)
    assert (tiny.path / RESULTS).read_text() == kept
