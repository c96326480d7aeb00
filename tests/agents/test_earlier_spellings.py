"""Command lines and settings of the version before mean what they meant, and a note says how they are written now."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from rlgen.agents import cli
from rlgen.agents.commands.table import settings_of_agent
from rlgen.runs import RunFolder

WHERE = "--env Ant-v5 --out run"
SPELLINGS = {  # before → now
    f"train ppo {WHERE} --learner.gamma 0.9": f"train rl {WHERE} --learner.gamma 0.9",
    f"train vime {WHERE} --algo trpo": f"train explore {WHERE} --learner.algorithm trpo",
    f"train vime {WHERE} --algo=sac --sac.hidden 8 4 --sac.batch_size=9 --curiosity none": (
        f"train explore {WHERE} --learner.algorithm sac --learner.hidden 8 4 --learner.batch-size 9 --curiosity none"
    ),
}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the settings of trainings record that would have begun."""
    seen: list[Any] = []
    for agent in ("rl", "explore"):
        monkeypatch.setattr(settings_of_agent(agent, "here"), "run", lambda self: seen.append(self.recorded()))
    return seen


@pytest.mark.parametrize(("before", "now"), SPELLINGS.items())
def test_it_is_the_training_of_the_present_spelling(before: str, now: str, trained: list[Any], capsys) -> None:
    assert cli.main(shlex.split(now)) == 0
    assert capsys.readouterr().err == ""
    assert cli.main(shlex.split(before)) == 0
    assert trained[0] == trained[1]
    note = capsys.readouterr().err
    assert "is now" in note
    assert len(note.splitlines()) == 1


def test_train_vime_is_train_explore_with_its_default(trained: list[Any]) -> None:
    assert cli.main(shlex.split(f"train vime {WHERE}")) == cli.main(shlex.split(f"train explore {WHERE}")) == 0
    assert trained[0] == trained[1]
    assert trained[0]["curiosity"] == "vime"


@pytest.mark.parametrize(
    ("command", "values", "options"),
    [
        ("rl", {"agent": "ppo", "learner": {"gamma": 0.9}}, "--learner.gamma 0.9"),
        ("explore", {"agent": "vime", "algo": "trpo"}, "--learner.algorithm trpo"),
        ("vime", {"algo": "sac", "sac": {"tau": 0.1}}, "--learner.algorithm sac --learner.tau 0.1"),
        ("explore", {"curiosity": "rnd", "rnd": {"clip": 2.0}}, "--curiosity rnd --rnd.clip 2"),
        ("explore", {"learner": {"gamma": 0.9}}, "--learner.gamma 0.9"),  # the others are the command's own defaults
    ],
)
def test_a_file_of_settings_is_the_same_options(
    command: str, values: dict[str, Any], options: str, trained: list[Any], tmp_path: Path, capsys
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values))
    assert cli.main(shlex.split(f"train {command} {WHERE} --config {path}")) == 0
    earlier = {"agent", "algo", "sac"} & set(values)
    assert ("names of an earlier version" in capsys.readouterr().err) == bool(earlier)
    assert cli.main(shlex.split(f"train {command} {WHERE} {options}")) == 0
    assert trained[0] == trained[1]


def test_runs_of_both_spellings_have_one_configuration(trained: list[Any], tmp_path: Path) -> None:
    assert cli.main(shlex.split(f"train explore {WHERE} --learner.algorithm sac")) == 0
    now = json.loads(json.dumps(trained[0]))
    sac = {name: value for name, value in now["learner"].items() if name != "algorithm"}
    before = {name: value for name, value in now.items() if name != "learner"} | {
        "agent": "vime",
        "algo": "sac",
        "sac": sac,
    }
    (tmp_path / "config.json").write_text(json.dumps(before))
    assert RunFolder.open(tmp_path).config == now
