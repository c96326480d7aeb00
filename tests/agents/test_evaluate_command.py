"""`rlgen evaluate` plays a run or a foreign model, and opens neither by unpickling."""

import json
from pathlib import Path

import pytest
import torch
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.envs import make_vec
from rlgen.runs import Result, Returns
from rlgen.runs.evaluation import evaluate
from rlgen.sb3 import load_policy


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


def test_the_defaults_repeat_a_runs_own_evaluation_and_another_seed_is_told(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"agent": "gail", "env": "InvertedPendulum-v5", "episodes": 6, "backend": "gymnasium"}
    (run_folder / "config.json").write_text(json.dumps(config))
    env = make_vec(config["env"], 6, 123, "gymnasium")
    policy = load_policy(run_folder / "policy.zip", env.observation_space, env.action_space)
    played = evaluate(policy, env, 6, seed=123, label=None)
    returns = Returns.of(played, env=config["env"], evaluation_seed=123, expert_return=2000.0, random_return=0.0)
    own = Result(agent="gail", seed=0, steps=1, wall_seconds=1.0, returns=returns)
    env.close()
    own.write(run_folder)
    assert cli.main(["evaluate", str(run_folder), "--out", str(tmp_path / "again.json")]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["per_episode"]["returns"] == returns.per_episode_returns
    assert (again["seed"], again["backend"], again["n_envs"]) == (123, "gymnasium", 6)
    assert again["share_of_failures"] == own.returns.share_of_failures == 1.0
    assert "the run measured" not in " ".join(capsys.readouterr().out.split())
    other = tmp_path / "other.json"
    assert cli.main(["evaluate", str(run_folder), "--seed", "7", "--out", str(other)]) == 0
    assert "random as the run measured with seed 123, not 7" in " ".join(capsys.readouterr().out.split())
    assert (json.loads(other.read_text())["seed"], json.loads(other.read_text())["reference_seed"]) == (7, 123)


@pytest.mark.parametrize(("name", "value"), [("env_kwargs", "gail"), ("env_kwargs", [1]), ("imports", 3)])
def test_entries_of_another_type_in_a_runs_configuration_are_named(
    name: str, value: object, run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"agent": "gail", "env": "InvertedPendulum-v5", name: value}
    (run_folder / "config.json").write_text(json.dumps(config))
    assert cli.main(["evaluate", str(run_folder)]) == 2
    assert f"expected {name} in" in capsys.readouterr().err


def test_the_table_shows_return_and_falls(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(run_folder), "--episodes", "2"]) == 0
    shown = capsys.readouterr()
    assert "InvertedPendulum-v5, 2 episodes" in shown.out
    assert "100%" in shown.out, "an untrained pole falls every time"
    assert "no code is run" in shown.err


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


def test_numbers_that_exist_are_replaced_only_when_asked(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "numbers.json"
    out.write_text("precious")
    command = ["evaluate", str(run_folder), "--episodes", "1", "--out", str(out)]
    assert cli.main(command) == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert out.read_text() == "precious"
    assert cli.main([*command, "--overwrite"]) == 0
    assert json.loads(out.read_text())["episodes"] == 1
    new = tmp_path / "new" / "folder" / "n.json"
    assert cli.main(["evaluate", str(tmp_path / "nothing"), "--out", str(new)]) == 2
    assert not (tmp_path / "new").exists(), "a refused command leaves no folder"
    assert cli.main([*command[:-1], str(new)]) == 0
    assert json.loads(new.read_text())["episodes"] == 1
    assert cli.main([*command[:-1], str(new / "below" / "n.json")]) == 2
    assert f"a folder to write into; got the file {new}" in capsys.readouterr().err


def test_statistics_beside_the_policy_can_be_named(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", str(run_folder), "--episodes", "1", "--normalizer", str(tmp_path / "nowhere.json")]
    assert cli.main(command) == 2
    assert "nowhere.json" in capsys.readouterr().err


def test_a_run_without_a_policy_says_how_to_finish_it(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_folder / "policy.zip").unlink()
    assert cli.main(["evaluate", str(run_folder)]) == 2
    assert f"rlgen resume {run_folder}" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--episodes", "0"], ["--out", "numbers.txt"]])
def test_a_wrong_option_is_refused_before_anything_is_played(option: list[str], model: Path) -> None:
    assert cli.main(["evaluate", str(model), "--env", "InvertedPendulum-v5", *option]) == 2


def test_an_expert_that_plays_along_is_what_counts_as_one(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    arguments = [str(model), "--env", "InvertedPendulum-v5", "--episodes", "4", "--expert", str(model)]
    assert cli.main(["evaluate", *arguments, "--out", str(out)]) == 0
    written = json.loads(out.read_text())
    assert (written["reference"], written["expert_return"]) == ("expert", written["return_mean"])
    assert written["random_return"] < written["return_mean"] or written["normalised_return"] is not None


@pytest.mark.parametrize("option", [["--prompt", "To be"], ["--classifier", "auto"], []])
def test_a_path_where_nothing_is_is_said_whatever_the_options(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", "NOPE", *option]) != 0
    assert "NOPE, where nothing is" in capsys.readouterr().err
