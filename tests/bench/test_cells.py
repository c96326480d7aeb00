"""A cell's identity changes with everything that determines its numbers, and with nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rlgen.bench.cells import Cell, cells_of
from rlgen.bench.identity import Resolved, absent_inputs, fingerprint, identified, identity_of
from rlgen.bench.protocol_file import parse_protocol
from rlgen.errors import InputError

from .conftest import TINY, typed_options

CONFIG = {"agent": "gail", "steps": 10, "seed": 0, "out": "here"}


def test_settings_version_and_margin_rule_make_the_identity_and_the_folder_does_not() -> None:
    one = identity_of(Resolved(CONFIG, ()), "0.1", "native")
    assert one == identity_of(Resolved({**CONFIG, "out": "there"}, ()), "0.1", "native")
    others = [
        identity_of(Resolved({**CONFIG, "steps": 11}, ()), "0.1", "native"),
        identity_of(Resolved(CONFIG, ()), "0.2", "native"),
        identity_of(Resolved(CONFIG, ()), "0.1", "legacy"),
    ]
    assert len({one, *others}) == 4


def test_the_contents_of_demonstrations_count_and_not_their_place(tmp_path: Path) -> None:
    def identity(path: Path) -> str:
        return identity_of(Resolved({"demos": str(path)}, ["demos"]), "0.1", "native")

    one, same, other = (tmp_path / name for name in ("a.npz", "b.npz", "c.npz"))
    one.write_bytes(b"1"), same.write_bytes(b"1"), other.write_bytes(b"2")
    assert identity(one) == identity(same) != identity(other)
    folder, moved = tmp_path / "x", tmp_path / "y"
    for each in (folder, moved):
        each.mkdir()
        (each / "data").write_bytes(b"1")
    assert fingerprint(folder) == fingerprint(moved)
    (moved / "data").rename(moved / "other")
    assert fingerprint(folder) != fingerprint(moved)


def test_two_agents_with_the_same_settings_are_refused() -> None:
    text = TINY.replace('options = { "learner.algorithm" = "a2c" }', "")
    with pytest.raises(InputError, match="ppo and a2c on Pendulum-v1, seed 0, which are the same"):
        identified(cells_of(parse_protocol(text)), typed_options, None, "0.1", "native")


def test_names_of_run_folders_are_readable_and_distinct() -> None:
    found = identified(cells_of(parse_protocol(TINY)), typed_options, None, "0.1", "native")
    assert len({cell.name for cell in found}) == len(found)
    assert found[0].name.startswith("Pendulum-v1-ppo-seed0-")
    assert "/" not in replace(found[0], task="rlgen/Sparse: Ant").name


def test_demonstrations_that_are_not_there_are_named(tmp_path: Path) -> None:
    cell = replace(cells_of(parse_protocol(TINY))[0], demos="ant.npz")
    with pytest.raises(InputError, match=r"demonstrations at .*ant\.npz; got no such file"):
        cell.arguments(tmp_path)


def test_a_data_set_of_minari_counts_by_its_contents_as_soon_as_it_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    name = "minari:mujoco/ant/expert-v0"
    cell = replace(cells_of(parse_protocol(TINY))[0], demos=name)

    def identity() -> str:
        return identity_of(Resolved({"demos": name}, ["demos"]), "0.1", "native")

    assert absent_inputs([cell, cell]) == [name]
    absent = identity()
    data = tmp_path / "mujoco/ant/expert-v0/data"
    data.mkdir(parents=True)
    (data / "main_data.hdf5").write_bytes(b"1")
    assert absent_inputs([cell]) == []
    one = identity()
    (data.parent / ".cache").mkdir()
    (data.parent / ".cache/downloaded").write_text("today")
    assert identity() == one != absent
    (data / "main_data.hdf5").write_bytes(b"22")
    assert identity() != one


def test_two_cells_of_one_line_and_seed_are_refused_because_tables_would_show_one() -> None:
    demos = '[{ file = "a", trajectories = 1 }, { file = "a", trajectories = 1, stride = 2 }]'
    for text in (
        TINY.replace("expert = -150.0", f"demos = {demos}"),
        TINY.replace("seeds = [0, 1]", "seeds = [0, 0]"),
    ):
        with pytest.raises(
            InputError, match="one cell for each task, number of trajectories, agent and seed; got 2 of"
        ):
            cells_of(parse_protocol(text))


def test_options_in_tables_and_with_underscores_are_the_same_options() -> None:
    nested = TINY.replace('{ "learner.algorithm" = "a2c" }', '{ learner.algorithm = "a2c" }')
    assert cells_of(parse_protocol(nested)) == cells_of(parse_protocol(TINY))
    later = TINY.replace("[agents.ppo]", "[agents.ppo]\noptions = { n_envs = 4, env_kwargs = { g = 9.8 } }")
    words = cells_of(parse_protocol(later))[0].arguments()
    assert words.count("--n-envs") == 1
    assert words[words.index("--n-envs") + 1] == "4"
    assert words[words.index("--env-kwargs") + 1] == '{"g": 9.8}'


@pytest.mark.parametrize("option", ["seed = 3", 'out = "x"', "help = true"])
def test_options_that_cells_decide_are_refused(option: str) -> None:
    with pytest.raises(InputError, match=f"got --{option.split()[0]}; leave it out"):
        cells_of(parse_protocol(TINY.replace("episodes = 1", option)))


@pytest.mark.parametrize(
    ("command", "options", "modules"),
    [
        ("train rl", {"env": "Ant-v5"}, []),
        ("train my_agents:Mine", {"env": "Ant-v5"}, ["my_agents"]),
        ("train rl", {"env": "my_envs:Point-v0"}, ["my_envs"]),
        (
            "train my_agents:Mine",
            {"env": "my_envs:Point-v0", "import": ["one", "my_envs"]},
            ["one", "my_envs", "my_agents"],
        ),
    ],
)
def test_a_run_goes_on_with_the_modules_of_its_agent_and_its_environment(
    command: str, options: dict[str, Any], modules: list[str]
) -> None:
    cell = Cell(task="t", agent="a", seed=0, command=command, options=options)
    rest = ["--import", *modules] if modules else []
    assert cell.resuming(Path("run"))[:2] == ["resume", "run"]
    assert cell.resuming(Path("run"))[2:3] == rest[:1]
    assert set(cell.resuming(Path("run"))[3:]) == set(rest[1:])
