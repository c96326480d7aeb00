"""Two benchmarks compared, and the seeds that one still needs."""

import math
from pathlib import Path

import pytest

from rlgen.agents.commands.bench_compare import BenchDiff, BenchPower
from rlgen.bench.benchmark import Benchmark
from rlgen.bench.diff import Change, changes, report
from rlgen.errors import InputError

from .conftest import results_folder, rows_of

ONE = """
title = "One task"
metric = { name = "return_mean", better = "high" }
tasks = [{ name = "t" }]
[agents]
a = { command = "train rl" }
b = { command = "train rl" }
"""
LOW = ONE.replace("high", "low")


def change(tmp_path: Path, before: list[float], after: list[float], protocol: str = ONE) -> Change:
    for name, values in (("before", before), ("after", after)):
        results_folder(tmp_path / name, protocol, rows_of("t", "a", values))
    (found,) = changes(Benchmark.read(tmp_path / "before"), Benchmark.read(tmp_path / "after"))
    return found


@pytest.mark.parametrize(
    ("before", "after", "protocol", "verdict"),
    [
        ([5.0, 6, 7], [1.0, 2, 3], ONE, "worse"),
        ([5.0, 6, 7], [1.0, 2, 3], LOW, "better"),
        ([1.0, 2, 3], [5.0, 6, 7], ONE, "better"),
        ([5.0, 6, 7], [1.0, 2, 5.5], ONE, "no difference shown"),  # one seed lies within
        ([5.0, 6], [1.0, 2], ONE, "no difference shown"),  # equal agents do this every third time
        ([5.0, 6, 7], [5.0, 6, 7], ONE, "no difference shown"),
        ([1.0, 2, 3, 4, 5, 6], [0.5, 1.5, 2.5, 3.5, 4.5, 5.5], ONE, "worse"),  # each pair, though their ranges overlap
        ([1.0, 2, 3, 4, 5], [0.5, 1.5, 2.5, 3.5, 4.5], ONE, "no difference shown"),  # five pairs: p is at least 0.0625
    ],
)
def test_the_verdict_follows_the_rule(
    tmp_path: Path, before: list[float], after: list[float], protocol: str, verdict: str
) -> None:
    assert change(tmp_path, before, after, protocol).verdict == verdict


def test_the_difference_is_that_of_the_values_shown_and_paired_by_seed(tmp_path: Path) -> None:
    found = change(tmp_path, [1.0, 2, 3, 10], [2.0, 3, 4, 11])
    assert (found.difference.value, found.difference.interval, found.paired, found.p) == (1.0, None, True, None)


def test_a_regression_has_exit_code_1_and_the_report_names_what_else_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = results_folder(tmp_path / "a", ONE, [*rows_of("t", "a", [5.0, 6, 7]), *rows_of("t", "b", [1.0])])
    newer = rows_of("t", "a", [1.0, 2, 3], rlgen="0.2.0", margin_rule="legacy", steps=9, episodes=5)
    protocol = ONE.replace("[agents]", "[options]\nsteps = 9\n[agents]").replace(
        '"t"', '"t", options = { video = true }'
    )
    b = results_folder(tmp_path / "b", protocol, newer)
    assert BenchDiff(a=a, b=b).run() == 1
    text = capsys.readouterr().out
    assert "| t | a | 6.000 (5.000 to 7.000) | 2.000 (1.000 to 3.000) | -4.000 | – | 3 pairs | **worse** |" in text
    assert "**Different rlgen**: 0.1.0 in A, 0.2.0 in B." in text
    assert "**Different contact margins**: native in A, legacy in B." in text
    assert "**Different settings** in the protocols, of every cell, t." in text
    assert "**Different lengths of the trainings**: unknown in A, 9 in B." in text
    assert "**Different numbers of episodes**: unknown in A, 5 in B." in text
    assert "Only in A: t, b." in text
    assert BenchDiff(a=b, b=a, out=tmp_path / "report.md").run() == 0
    assert "**better**" in (tmp_path / "report.md").read_text()
    assert capsys.readouterr().out == ""


def test_benchmarks_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    a = results_folder(tmp_path / "a", ONE, rows_of("t", "a", [1.0]))
    low = results_folder(tmp_path / "low", LOW, rows_of("t", "a", [1.0]))
    other = results_folder(tmp_path / "other", ONE, rows_of("t", "b", [1.0]))
    for b, error in (
        (
            low,
            r"the metric return_mean \(result, high is better\) in both, for t, agent a; got return_mean \(result, low",
        ),
        (other, "1 rows in .*, 1 in .*, and none in both"),
        (tmp_path / "nothing", "got no protocol.toml and no results.csv"),
    ):
        with pytest.raises(InputError, match=error):
            BenchDiff(a=a, b=b).run()


def test_a_benchmark_equals_itself(tmp_path: Path) -> None:
    a = Benchmark.read(results_folder(tmp_path / "a", ONE, rows_of("t", "a", [1.0, 2, 3, 4, 5])))
    (row,) = report(a, a, changes(a, a)).rows
    assert row[4:] == ("0.000 [0.000, 0.000]", "1.000", "5 pairs", "no difference shown")


def test_the_seeds_to_go_are_those_of_the_wanted_width_and_power(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*rows_of("t", "a", [1.0, 2, 3, 4, 5]), *rows_of("t", "b", [1.5, 1.75])]
    path = results_folder(tmp_path / "a", ONE, rows)

    def to_go(**wanted: float) -> list[str]:
        BenchPower(folder=path, **wanted).run()
        return [
            line.split(" | ")[-1].removesuffix(" |") for line in capsys.readouterr().out.splitlines() if "| t |" in line
        ]

    few = "at least 3, then ask again: an interval needs 5"
    assert to_go(width=100.0) == ["0", few]
    narrow, wide = (int(to_go(width=width)[0]) for width in (0.25, 0.5))
    assert 3 * (wide + 5) < narrow + 5 < 5 * (wide + 5)  # a quarter of the width needs four times the seeds
    assert to_go(share=0.5 / 3)[0] == str(wide)
    assert int(to_go(power=0.9)[0]) > int(to_go(power=0.5)[0]) > 0


@pytest.mark.parametrize(
    "wanted", [{}, {"width": 0.0}, {"share": -1.0}, {"power": 1.0}, {"width": 1.0, "share": 1.0}], ids=str
)
def test_power_needs_a_goal_within_reach(tmp_path: Path, wanted: dict[str, float]) -> None:
    with pytest.raises(InputError, match="--"):
        BenchPower(folder=tmp_path, **wanted)


@pytest.mark.parametrize(
    ("after", "named"),
    [([math.nan, math.nan, 7.0], "t, a: seed 0, 1"), ([None, 6.0, 7.0], "t, a: seed 0"), ([], "t, a: seed 0, 1, 2")],
)
def test_seeds_that_diverged_or_are_missing_count_as_worse(
    tmp_path: Path, after: list[float | None], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    a = results_folder(tmp_path / "a", ONE, [*rows_of("t", "a", [5.0, 6, 7]), *rows_of("t", "b", [1.0])])
    b = results_folder(tmp_path / "b", ONE, [*rows_of("t", "a", after), *rows_of("t", "b", [1.0])])
    assert BenchDiff(a=a, b=b).run() == 1
    assert f"**Without a value in B**, which counts as worse: {named}." in capsys.readouterr().out
    assert BenchDiff(a=b, b=a).run() == 0


def test_a_second_benchmark_of_fewer_seeds_or_agents_is_not_worse(tmp_path: Path) -> None:
    a = results_folder(tmp_path / "a", ONE, [*rows_of("t", "a", [5.0, 6, 7]), *rows_of("t", "b", [1.0])])
    only = "\n".join(line for line in ONE.splitlines() if not line.startswith("b ="))
    b = results_folder(tmp_path / "b", only, rows_of("t", "a", [5.0, 6]))
    assert BenchDiff(a=a, b=b).run() == 0
