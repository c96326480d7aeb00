"""A search that could fool its reader, or not be done, is refused before it begins; the objective is the bad end."""

import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlgen.bench.cells import Cell
from rlgen.bench.protocol import Metric, Task
from rlgen.bench.tune.file import read_tune_file
from rlgen.bench.tune.objective import curve_for, name_of_interval, objective, parts_of, per_seed, score_of
from rlgen.bench.tune.space import Space
from rlgen.bench.tune.study import optuna_or_error
from rlgen.errors import InputError
from rlgen.runs.config import from_json
from rlgen.runs.scores import bootstrap_interval

FILE = """
title = "A search"
[[tasks]]
env = "Pendulum-v1"
[agents.ppo]
command = "train rl"
[tune]
agent = "ppo"
seeds = [0, 1, 2]
fresh_seeds = [10, 11]
[tune.space]
"learner.gamma" = { low = 0.9, high = 0.99 }
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [0, 1, 2]", "seeds = [0, 1]", r"3 or more different seeds .* got \[0, 1\]"),
        ("seeds = [0, 1, 2]", "seeds = [0, 1, 1]", "3 or more different seeds"),
        ("fresh_seeds = [10, 11]", "fresh_seeds = [2, 11]", r"on which nothing was chosen; got \[2\] in seeds"),
        ("fresh_seeds = [10, 11]", "fresh_seeds = []", "different fresh_seeds"),
        ('agent = "ppo"', 'agent = "sac"', "agent among ppo; got 'sac'"),
        ('[tune.space]\n"learner.gamma" =', "[tune.space]\nseed =", "does not set itself; got seed"),
        ("low = 0.9", "low = 0.999", r"learner.gamma: expected a range with low < high"),
        ("{ low = 0.9, high = 0.99 }", "{ low = 0.9 }", "a range with low < high; got low 0.9, high None"),
        ("{ low = 0.9, high = 0.99 }", "{ low = 0.0, high = 1.0, log = true }", "above 0 and without step; got low 0"),
        (
            "{ low = 0.9, high = 0.99 }",
            "{ low = 1, high = 8, step = 3 }",
            "a step that divides high − low; got 3 and 7",
        ),
        ("{ low = 0.9, high = 0.99 }", "{ low = 1, choices = [1, 2] }", "a range or choices; got both"),
        ("{ low = 0.9, high = 0.99 }", "{ choices = [1] }", "two or more choices"),
        ("{ low = 0.9, high = 0.99 }", "{ choices = [1, 1979-05-27] }", "texts, numbers or lists"),
        ("{ low = 0.9, high = 0.99 }", "{ lowest = 1 }", "lowest"),
        ("{ low = 0.9, high = 0.99 }", "0.9", "a table of a range or choices; got 0.9"),
        ("[tune.space]\n", "trails = 3\n[tune.space]\n", "trails"),
        ("[[tasks]]", '[[tasks]]\nname = "second"\nenv = "Ant-v5"\n[[tasks]]', "random and expert of each of several"),
        ("[[tasks]]", '[[tasks]]\nagents = ["bc"]', "agents among 'ppo'"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in FILE
    path = tmp_path / "tune.toml"
    path.write_text(FILE.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_tune_file(path)


def test_an_option_may_be_spelled_as_in_a_table_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "tune.toml"
    text = FILE.replace('"learner.gamma"', "learner.gae_lambda")
    path.write_text(
        text.replace("[tune]", "on = { Pendulum-v1 = { learner = { gae_lambda = 0.5, gamma = 0.7 } } }\n[tune]")
    )
    found = read_tune_file(path)
    assert list(found.tune.space) == ["learner.gae-lambda"]
    chosen = found.cells_of({"learner.gae-lambda": 0.95}, [3], "trial")[0].options
    assert (chosen["learner.gae-lambda"], chosen["learner.gamma"]) == (0.95, 0.7), "the task's value does not win"


def test_a_protocol_without_a_search_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_text(FILE.partition("[tune]")[0])
    with pytest.raises(InputError, match=r"a table \[tune\]"):
        read_tune_file(path)
    path.write_text("title = ")
    with pytest.raises(InputError, match="a protocol in TOML"):
        read_tune_file(path)


def test_without_optuna_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"the package optuna.*; got .*; pip install 'rlgen\[tune\]'"):
        optuna_or_error()


def test_the_interval_of_few_seeds_contains_the_median_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).exponential(size=(20_000, 4))
    for seeds, coverage in ((3, 0.75), (4, 0.875)):
        sample, median = draws[:, :seeds], np.log(2)
        inside = (sample.min(1) <= median) & (median <= sample.max(1))
        assert inside.mean() == pytest.approx(coverage, abs=0.01)
        assert f"({100 * coverage:g} % for the median)" in name_of_interval(seeds)


def test_the_objective_is_the_worst_seed_and_from_five_the_end_of_the_bootstrap_interval() -> None:
    assert objective([3.0, 1.0, 2.0]) == 1.0
    assert objective([3.0, 1.0, 2.0], "low") == 3.0
    values = [1.0, 2.0, 3.0, 4.0, 9.0]
    assert (objective(values), objective(values, "low")) == bootstrap_interval(values)
    assert "bootstrap" in name_of_interval(5)


def test_several_tasks_are_averaged_on_their_own_scales() -> None:
    tasks = [Task(env="A", random=-10.0, expert=10.0), Task(env="B", random=0.0, expert=1000.0)]
    cells = [
        Cell(task=task, agent="x", seed=seed, command="train rl", options={}, id=f"{task}{seed}")
        for seed in (0, 1)
        for task in ("A", "B")
    ]
    scores = {"A0": score_of(0.0, tasks[0], True), "B0": score_of(1000.0, tasks[1], True), "A1": 1.0}
    assert scores["A0"] == 0.5
    assert per_seed(cells, scores) == {0: 0.75}, "seed 1 lacks a task"
    assert score_of(3.0, tasks[0], False) == 3.0


def test_a_running_training_has_a_value_for_each_tenth_that_has_passed() -> None:
    nan = float("nan")
    curve = {"step": np.array([5.0, 10, 15, 20, 70, 75, 100]), "e": np.array([1.0, 2, 9, nan, 7, 8, 10])}
    assert list(parts_of(curve, "e", 100)) == [(1, 2.0), (7, 7.0)]
    assert list(parts_of(curve, "missing", 100)) == []
    assert curve_for("", Metric()) == "evaluation/return_mean"
    assert curve_for("", Metric(name="a/b", take="last")) == "a/b"
    assert curve_for("", Metric(name="a/b", take="fall")) == ""
    assert curve_for("mine", Metric(name="a/b", take="fall")) == "mine"


@pytest.mark.parametrize(
    ("toml", "inside", "outside"),
    [
        ("low = 1e-5, high = 1e-3, log = true", [1e-5, 3e-4], [1, True, "a"]),
        ("low = 1, high = 9, step = 2", [1, 3, 9, 3.0], [2, 11]),
        ("low = 1, high = 9", [2], [2.5]),
        ("choices = [1, [2, 3], true]", [1, [2, 3], True], [2, "1"]),
    ],
)
def test_a_space_has_its_own_values_alone(toml: str, inside: list[Any], outside: list[Any]) -> None:
    space = from_json(Space, tomllib.loads(f"x = {{ {toml} }}")["x"])
    assert all(space.has(value) for value in inside)
    assert not any(space.has(value) for value in outside)
    assert all(space.restored(space.stored(value)) == value for value in inside)
