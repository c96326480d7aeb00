"""The tables after the first one: over tasks, against the baseline, times to the threshold."""

import pytest

from rlgen.bench.protocol import Protocol
from rlgen.bench.protocol_file import parse_protocol
from rlgen.bench.rows import Results
from rlgen.bench.summary import comparisons, markdown, over_tasks, summary, times
from rlgen.errors import InputError

from .conftest import rows_of

TWO = """
title = "Two tasks"
baseline = "b"
metric = { name = "return_mean", better = "BETTER" }
tasks = [{ name = "t", threshold = 5.0 }, { name = "u" }]
[agents]
a = { command = "train rl" }
b = { command = "train rl" }
"""


def two_tasks(better: str = "high") -> Protocol:
    return parse_protocol(TWO.replace("BETTER", better))


def test_agents_with_few_seeds_have_aggregates_over_tasks_without_intervals() -> None:
    rows = [*rows_of("t", "a", [0.0, 1.0]), *rows_of("u", "a", [0.4, 0.6]), *rows_of("t", "b", [0.5])]
    found = over_tasks(two_tasks(), Results(rows))
    first, second = found.rows
    assert first[:7] == ("a", "2 of 2", "4", "0.50", "0.50", "0.50", "0.50")
    assert first[7] == "0.50"
    assert second[:4] == ("b", "1 of 2", "1", "0.50")
    assert "Too few seeds for an interval (five runs in all, three of each task): a, b." in found.notes
    assert any(note.startswith("**Different tasks**: b ") for note in found.notes)


def test_from_three_seeds_of_each_of_two_tasks_on_there_are_intervals() -> None:
    rows = [row for task in "tu" for agent in "ab" for row in rows_of(task, agent, [0.1, 0.2, 0.3])]
    found = over_tasks(two_tasks(), Results(rows))
    assert all("[" in row[3] for row in found.rows)
    assert not any("Too few" in note for note in found.notes)


def test_one_task_or_none_with_scores_has_no_table_over_tasks() -> None:
    assert not over_tasks(two_tasks(), Results(rows_of("t", "a", [0.1])))
    assert not over_tasks(two_tasks(), Results([row | {"score": None} for row in rows_of("t", "a", [0.1])]))
    assert summary(two_tasks(), Results([])) == []


def test_agents_are_compared_with_the_baseline_of_the_protocol() -> None:
    rows = [*rows_of("t", "a", [3.0, 4, 5, 6, 7, 8]), *rows_of("t", "b", [1.0, 2, 3, 4, 5, 6])]
    (row,) = comparisons(two_tasks(), Results(rows)).rows
    task, agent, difference, better, p, p_holm, seeds = row
    assert (task, agent, difference, seeds) == ("t", "a", "+2.000 [2.000, 2.000]", "6 pairs")
    assert float(better.split()[0]) > 0.5
    assert p == p_holm == "0.031"  # 2 / 2^6


def test_where_lower_is_better_an_agent_with_lower_values_is_better() -> None:
    rows = [*rows_of("t", "a", [1.0, 2.0]), *rows_of("t", "b", [3.0, 4.0])]
    found = comparisons(two_tasks("low"), Results(rows))
    assert found.rows[0][2:4] == ("+2.000", "1.00")
    assert "baseline − agent, because lower is better; above 0 the agent is better" in found.notes[0]
    assert comparisons(two_tasks(), Results(rows)).rows[0][2:4] == ("-2.000", "0.00")


def test_a_seed_without_a_finite_value_is_not_compared() -> None:
    rows = [*rows_of("t", "a", [1.0, float("nan"), None]), *rows_of("t", "b", [1.0, 1.0, 1.0])]
    assert comparisons(two_tasks(), Results(rows)).rows[0][6] == "1 and 3"


def test_runs_that_never_reach_the_threshold_count_in_its_time() -> None:
    rows = [row | {"last_step": 100.0} for row in rows_of("t", "a", [1.0, 1.0, 1.0])]
    rows[0]["time_to_threshold"] = 40.0
    found = times(two_tasks(), Results([*rows, *rows_of("t", "b", [1.0])]))
    assert [tuple(row) for row in found.rows] == [("t", "a", "later than 100", "80", "1 of 3", "5", "100")]
    assert not times(two_tasks(), Results(rows_of("u", "a", [1.0], last_step=10.0)))


def test_the_file_has_all_tables() -> None:
    rows = [row for task in "tu" for agent in "ab" for row in rows_of(task, agent, [0.1, 0.2], last_step=9.0)]
    text = markdown(two_tasks(), Results(rows))
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["# Two tasks", "## Over tasks", "## Against b", "## Time to the threshold"]


def test_an_unknown_baseline_is_refused() -> None:
    with pytest.raises(InputError, match="agents among 'a', 'b'; got 'c'"):
        parse_protocol(TWO.replace("BETTER", "high").replace('baseline = "b"', 'baseline = "c"'))
