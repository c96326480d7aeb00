"""--config: the settings of another run as defaults, of which what is typed is stronger."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlgen.agents import cli
from rlgen.agents.commands.table import settings_of_agent, trainings
from rlgen.nn import PenaltyConfig

from .conftest import SMALL, SMALL_VIME

Parsed = Callable[..., Any]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Parsed:
    """The settings that a command line would train with; None where it is refused."""
    seen: list[Any] = []
    for kind in (settings_of_agent(agent, "here") for agent in trainings()):
        monkeypatch.setattr(kind, "run", lambda self: seen.append(self))

    def main(words: str, values: dict[str, Any], path: Path) -> Any:
        seen.clear()
        path.write_text(json.dumps(values))
        code = cli.main([*shlex.split(words), "--config", str(path)])
        assert code == (0 if seen else 2)
        return seen[0] if seen else None

    return main


def recorded(words: str, tmp_path: Path, parsed: Parsed) -> dict[str, Any]:
    """What the run of a command line would hold in its config.json."""
    return json.loads(json.dumps(parsed(f"{words} --out first", {}, tmp_path / "none.json").recorded()))


def test_a_run_from_the_config_of_another_differs_in_what_was_typed(rlgen_train, tmp_path: Path) -> None:
    assert rlgen_train("rl", "--steps", "64", "--learner.gamma", "0.9") == 0
    first, second = tmp_path / "run", tmp_path / "second"
    assert cli.main(["train", "rl", "--config", str(first), "--out", str(second), "--seed", "7"]) == 0
    before, after = (json.loads((run / "config.json").read_text()) for run in (first, second))
    assert {name for name in before if before[name] != after[name]} == {"out", "seed"}
    assert after["learner"]["gamma"] == 0.9


COMMANDS = {
    "bc": f"--env PointWorld-v0 --demos x.npz --trajectories 3 {SMALL['bc']}",
    "gail": f"--env PointWorld-v0 --demos x.npz --env-kwargs a=1 {SMALL['gail']}",
    "infogail": f"--env PointWorld-v0 --demos x.npz --codes 3 {SMALL['infogail']}",
    "rl": f"--env PointWorld-v0 --evaluate-every 0 {SMALL['rl']}",
    "explore": f"--env PointWorld-v0 {SMALL['vime']} {SMALL_VIME}",
    "image": "--model gan --epochs 3",
}


@pytest.mark.parametrize("agent", COMMANDS)
def test_every_agent_takes_what_it_recorded(agent: str, parsed: Parsed, tmp_path: Path) -> None:
    before = recorded(f"train {agent} {COMMANDS[agent]}", tmp_path, parsed)
    again = parsed(f"train {agent} --out second", before, tmp_path / "config.json").recorded()
    assert json.loads(json.dumps(again)) == before | {"out": "second"}


def test_what_is_typed_is_stronger_and_the_rest_may_be_missing(parsed: Parsed, tmp_path: Path) -> None:
    values = {"steps": 500, "learner": {"gamma": 0.9, "n_steps": 8}}
    config = parsed("train rl --env PointWorld-v0 --out o --learner.gamma=0.8", values, tmp_path / "c.json")
    assert (config.steps, config.learner.gamma, config.learner.n_steps) == (500, 0.8, 8)


def test_settings_under_their_names_of_before_are_read_and_typed(parsed: Parsed, tmp_path: Path) -> None:
    """Beside what old names say stays the default of GAIL, which has a gradient penalty, and not that of penalties."""
    values = {"gail": {"entropy": 0.5, "spectral_norm": True}}
    typed = "--gail.no-spectral-norm --gail.gradient_centre=0 --gail.penalties.r1 2"
    config = parsed(f"train gail --env PointWorld-v0 --demos x.npz --out o {typed}", values, tmp_path / "c.json")
    assert config.gail.penalties == PenaltyConfig(gradient=1.0, gradient_center=0.0, r1=2.0, entropy=0.5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_env": 4}, "unknown 'n_env'; did you mean 'n_envs'?"),
        ({"learner": {"gama": 1}}, "unknown 'gama'; did you mean 'gamma'?"),
        ({"n_envs": "many"}, "n_envs of the type int"),
        ({"env": ["PointWorld-v0"]}, "env of the type str"),
        ({"env": "PointWorld-v0", "imports": 3}, "imports of the type"),
        ({"agent": "gail"}, "use `rlgen train gail`"),
        ({"agent": {}}, "take the config.json of a run"),
        ([], "a JSON object"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(values: Any, message: str, parsed: Parsed, tmp_path: Path, capsys) -> None:
    assert parsed("train rl --out o", values, tmp_path / "config.json") is None
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("path", ["missing.json", "."])
def test_a_file_that_is_not_there_is_refused(path: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "rl", "--env", "PointWorld-v0", "--out", "o", "--config", path]) == 2
    assert path in capsys.readouterr().err


def test_config_without_a_file_and_mistyped_is_refused(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "rl", "--env", "PointWorld-v0", "--out", "o", "--config"])
    assert "--config" in capsys.readouterr().err
    assert cli.main(["train", "rl", "--confg", "x"]) == 2
    assert "did you mean --config?" in capsys.readouterr().err


def test_the_folder_of_the_other_run_is_not_taken(parsed: Parsed, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        parsed("train rl", {"env": "PointWorld-v0", "out": "theirs"}, tmp_path / "config.json")


def test_settings_that_typed_options_leave_idle_are_dropped_from_the_file_alone(
    parsed: Parsed, tmp_path: Path, capsys
) -> None:
    before = recorded(f"train explore {COMMANDS['explore']} --learner.gamma 0.9", tmp_path, parsed)
    path = tmp_path / "config.json"
    assert before["eta"] is not None
    assert parsed("train explore --out o", before, path).eta == before["eta"]
    other = parsed("train explore --out o --curiosity rnd", before, path)
    assert (other.curiosity, other.eta, other.learner.gamma) == ("rnd", None, 0.9)
    assert parsed("train explore --out o --learner.algorithm=sac", before, path).learner.algorithm == "sac"
    assert parsed("train explore --out o --curiosity none", before, path).curiosity == "none"
    assert parsed("train explore --out o --curiosity rnd --vime.hidden 9", before, path) is None
    assert "--vime.hidden" in capsys.readouterr().err


def test_another_model_keeps_the_settings_that_it_has(parsed: Parsed, tmp_path: Path) -> None:
    before = recorded("train image --model semi_supervised_gan --labels 50 --epochs 3 --seed 4", tmp_path, parsed)
    other = parsed("train image --out o --model vae --steps 9", before, tmp_path / "config.json")
    assert (other.model, other.labels, other.epochs, other.steps, other.seed) == ("vae", None, None, 9, 4)


@pytest.mark.parametrize("values", [{"env": "spy:Spy-v0"}, {"env": "Spy-v0", "imports": ["spy"]}])
def test_no_module_that_the_file_names_is_imported(
    values: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spy.py").write_text("from pathlib import Path\nPath('executed').touch()\n")
    Path("config.json").write_text(json.dumps(values))
    assert cli.main(["train", "rl", "--config", "config.json", "--out", "o"]) == 2
    assert "--import spy" in capsys.readouterr().err
    assert cli.main(["train", "rl", "--config", "config.json", "--out", "o", "--import", "json"]) == 2
    assert not Path("executed").exists()
    assert "spy" not in sys.modules
