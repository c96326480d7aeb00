"""`rlgen evaluate` plays a run or a foreign model, and opens neither by unpickling."""

import json
from pathlib import Path

import pytest
import torch
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.envs import make_vec


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained PPO for a pole that stands for a few steps only."""
    torch.manual_seed(0)
    env = make_vec("InvertedPendulum-v5", 1, backend="gymnasium")
    path = tmp_path_factory.mktemp("model") / "policy.zip"
    PPO("MlpPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu").save(path)
    return path


@pytest.fixture
def run_folder(tmp_path: Path, model: Path) -> Path:
    """What `rlgen evaluate` needs of a run: its environment's id and its policy."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps({"agent": "gail", "env": "InvertedPendulum-v5"}))
    (tmp_path / "run" / "policy.zip").write_bytes(model.read_bytes())
    return tmp_path / "run"


def test_a_run_and_its_policy_give_the_same_numbers(run_folder: Path, model: Path, tmp_path: Path) -> None:
    written = []
    for number, arguments in enumerate(([str(run_folder)], [str(model), "--env", "InvertedPendulum-v5"])):
        out = tmp_path / f"{number}.json"
        assert cli.main(["evaluate", *arguments, "--episodes", "5", "--n-envs", "2", "--out", str(out)]) == 0
        written.append(json.loads(out.read_text()) | {"policy": None})
    assert written[0] == written[1]
    assert written[0]["episodes"] == len(written[0]["per_episode"]["returns"]) == 5
    assert written[0]["return_mean"] == pytest.approx(sum(written[0]["per_episode"]["returns"]) / 5)


def test_the_table_shows_return_and_falls(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(run_folder), "--episodes", "2"]) == 0
    shown = capsys.readouterr()
    assert "InvertedPendulum-v5, 2 episodes" in shown.out
    assert "100%" in shown.out, "an untrained pole falls every time"
    assert "nothing unpickled" in shown.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{model}"], "expected --env"),
        (["{nowhere}"], "where nothing is"),
        (["{folder}"], "without config.json"),
        (["{model}", "--env", "Ant-v5"], "expected a policy of 105 observation"),
    ],
)
def test_what_cannot_be_played_is_refused_in_words(
    arguments: list[str], message: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"model": model, "nowhere": tmp_path / "nowhere", "folder": tmp_path}
    assert cli.main(["evaluate", *(each.format(**places) for each in arguments)]) == 2
    assert message in capsys.readouterr().err


def test_a_run_without_a_policy_says_how_to_finish_it(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_folder / "policy.zip").unlink()
    assert cli.main(["evaluate", str(run_folder)]) == 2
    assert f"rlgen resume {run_folder}" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--episodes", "0"], ["--out", "numbers.txt"], ["--out", "no/such/folder/n.json"]])
def test_a_wrong_option_is_refused_before_anything_is_played(option: list[str], model: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["evaluate", str(model), "--env", "InvertedPendulum-v5", *option])
    assert stop.value.code == 2
