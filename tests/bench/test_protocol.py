"""A protocol is a TOML file whose every entry is checked."""

import pytest

from rlgen.bench.cells import cells_of, typed
from rlgen.bench.protocol_file import find_protocol, parse_protocol, read_protocol, suites
from rlgen.errors import InputError

from .conftest import TINY


def test_every_task_agent_and_seed_is_a_cell_and_first_seeds_come_first() -> None:
    found = cells_of(parse_protocol(TINY))
    assert [(cell.agent, cell.seed) for cell in found] == [("ppo", 0), ("a2c", 0), ("ppo", 1), ("a2c", 1)]
    assert all(cell.options["threads"] == 1 and cell.options["video"] is False for cell in found)


def test_a_number_of_trajectories_is_a_row_and_options_of_an_agent_on_a_task_count_there() -> None:
    text = """
title = "t"
seeds = [3]
[[tasks]]
env = "Ant-v5"
demos = [{ file = "shipped:Ant-v5", trajectories = [1, 4], stride = 20 }]
[[tasks]]
env = "Hopper-v5"
seeds = [7]
agents = ["bc"]
[agents.bc]
command = "train bc"
on = { Ant-v5 = { "learner.initial-std" = 0.34 } }
"""
    one, four, hopper = cells_of(parse_protocol(text))
    assert (one.setting, four.setting) == ("Ant-v5, 1 trajectory", "Ant-v5, 4 trajectories")
    words = four.arguments()
    assert words[:2] == ["train", "bc"]
    assert "--learner.initial-std 0.34" in " ".join(words)
    assert " ".join(words).endswith("--trajectories 4 --stride 20 --seed 3")
    assert hopper.seed == 7
    assert hopper.demos is None
    assert "initial-std" not in " ".join(hopper.arguments())


def test_options_are_typed_as_on_the_command_line() -> None:
    options = {"steps": 1e6, "gail.warm-start": False, "video": True, "learner.hidden": [64, 64], "rate": 1e-4}
    assert typed(options) == [
        "--steps", "1000000", "--gail.no-warm-start", "--video", "--learner.hidden", "64", "64", "--rate", "0.0001",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("seeds = [0, 1]", "seed = [0, 1]"), "unknown 'seed'; did you mean 'seeds'"),
        (('command = "train rl"\n\n', 'comand = "train rl"\n\n'), "did you mean 'command'"),
        (("seeds = [0, 1]", 'seeds = ["a"]'), "seeds[0] of the type int"),
        (('agent = "ppo"', 'agent = "pppo"'), "expected agents among 'ppo', 'a2c'; got 'pppo'"),
        (('task = "Pendulum-v1"', 'task = "Ant-v5"'), "expected tasks among 'Pendulum-v1'"),
        (("title = ", "title == "), "expected a protocol in TOML"),
        (('env = "Pendulum-v1"', 'env = "Pendulum-v1"\n[[tasks]]\nenv = "Pendulum-v1"'), "got 'Pendulum-v1' twice"),
        (("[agents.a2c]", '[agents."=1+1"]'), "which spreadsheets take for a formula"),
        (("[agents.a2c]", '[agents."a\\nb"]'), "a name of the agent that tables can show"),
        (("[agents.a2c]", f"[agents.{'x' * 101}]"), "use 1 to 100 printable characters"),
        (("Two learners on the pendulum", "a\\nb"), "a title of one line"),
        (("expert = -150.0", "expert = nan"), "a finite expert of the task Pendulum-v1"),
        (("expert = -150.0", "threshold = inf"), "a finite threshold of the task Pendulum-v1"),
        (("seeds = [0, 1]", 'metric = ""'), "the name of a metric"),
        (("[agents.a2c]", '[agents.a2c]\nflags = ["good"]'), "expected flags among best checkpoint"),
    ],
)
def test_a_wrong_entry_is_named(change: tuple[str, str], told: str) -> None:
    with pytest.raises(InputError) as error:
        parse_protocol(TINY.replace(*change), "mine.toml")
    assert told in str(error.value)
    assert "mine.toml" in str(error.value)


def test_no_file_and_no_suite_of_that_name() -> None:
    with pytest.raises(InputError, match=r"a suite among .*gail-2016"):
        find_protocol("gail-2015")


@pytest.mark.parametrize("suite", ["gail-2016", "sparse-exploration", "image-mnist", "imitation-one-shot"])
def test_a_shipped_suite_is_read_and_has_a_quick_form(suite: str) -> None:
    protocol = read_protocol(suites()[suite])
    whole, quick = cells_of(protocol), cells_of(protocol, quick=True)
    assert len(whole) > len(quick) >= 1
    assert {cell.seed for cell in quick} <= set(protocol.quick.seeds)
