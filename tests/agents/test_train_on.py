"""`rlgen resume RUN --steps`: more of the same run."""

import json
from pathlib import Path

import pytest
import torch

from rlgen.agents import cli
from rlgen.agents.commands import policy_training
from rlgen.agents.commands.table import settings_of_agent
from rlgen.runs import Result, RunFolder, read_metrics
from rlgen.runs.metrics import same_metrics
from rlgen.sb3 import load_policy

from .conftest import LEARNER

WHERE = (
    "--env rlgen/SparseMountainCar-v0 --env-kwargs max_episode_steps=8 --device cpu --threads 1 --no-video --episodes 2"
)
PPO = f"{WHERE} --n-envs 4 {LEARNER} --learner.schedule constant --checkpoint-every 1e9 --evaluate-every 0"


def train(out: Path, steps: int) -> None:
    assert cli.main(["train", "rl", *PPO.split(), "--steps", str(steps), "--out", str(out)]) == 0


def weights(run: Path) -> list[float]:
    import gymnasium as gym
    import numpy as np

    env = gym.make("rlgen/SparseMountainCar-v0")
    policy = load_policy(run / "policy.zip", env.observation_space, env.action_space)
    return policy.predict(np.linspace(-1, 1, 20, dtype=np.float32).reshape(10, 2), deterministic=True)[0].tolist()


def test_a_finished_run_that_trains_on_is_the_longer_run(tmp_path: Path) -> None:
    train(tmp_path / "long", 320)
    train(tmp_path / "short", 128)
    assert cli.main(["resume", str(tmp_path / "short"), "--steps", "320"]) == 0
    assert weights(tmp_path / "short") == weights(tmp_path / "long")
    assert same_metrics(tmp_path / "short", tmp_path / "long")
    assert Result.read(tmp_path / "short").env_steps == 320
    assert RunFolder.open(tmp_path / "short").config["steps"] == 320
    assert "320" in (tmp_path / "short" / "report.html").read_text()


def test_a_continuation_that_is_killed_keeps_the_result_and_goes_on(tmp_path: Path, monkeypatch, caplog) -> None:
    run = tmp_path / "run"
    train(run, 64)
    before = {name: (run / name).read_bytes() for name in ("result.json", "policy.zip", "report.html")}

    def die(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(policy_training, "finish", die)
        assert cli.main(["resume", str(run), "--steps", "128"]) == 130
    assert {name: (run / name).read_bytes() for name in before} == before
    assert cli.main(["resume", str(run)]) == 0
    assert Result.read(run).env_steps == 128
    caplog.clear()
    assert cli.main(["resume", str(run)]) == 0
    assert "finished already" in caplog.text
    assert "--steps trains it on" in caplog.text


def test_no_more_steps_than_are_done_are_refused(tmp_path: Path, no_finish, capsys) -> None:
    run = tmp_path / "run"
    train(run, 64)
    config = (run / "config.json").read_bytes()
    for steps in ("64", "10", "-5", "nan", "inf"):
        assert cli.main(["resume", str(run), "--steps", steps]) == 2
        assert "--steps above the 64 that" in capsys.readouterr().err
    assert (run / "config.json").read_bytes() == config


def test_cloning_has_no_steps_to_add(tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    run.mkdir()
    config = {"agent": "bc", "env": "Ant-v5", "out": str(run), "demos": "demos.npz"}
    (run / "config.json").write_text(json.dumps(config))
    for steps in ("100", "0", "nan"):  # whatever the number
        assert cli.main(["resume", str(run), "--steps", steps]) == 2
        shown = capsys.readouterr().err
        assert "a run of BC, which has no length in steps" in shown
        assert "another --bc.max-updates" in shown


def test_sac_keeps_the_replay_buffer_that_it_saved(tmp_path: Path) -> None:
    run = tmp_path / "run"
    sac = "--learner.algorithm sac --learner.learning-starts 8 --learner.batch-size 8 --learner.hidden 8 --n-envs 2"
    assert cli.main(["train", "rl", *WHERE.split(), *sac.split(), "--steps", "40", "--out", str(run)]) == 0
    assert cli.main(["resume", str(run), "--steps", "60"]) == 0
    assert RunFolder.open(run).config["learner"]["buffer_size"] == 40
    assert Result.read(run).env_steps == 60


def test_an_image_model_trains_on(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    run = tmp_path / "run"
    small = "--vae.hidden 8 --measured 20 --importance-samples 2 --classifier none --device cpu"
    assert cli.main(["train", "image", *small.split(), "--epochs", "0.2", "--out", str(run)]) == 0
    assert cli.main(["resume", str(run), "--steps", "6"]) == 0
    assert json.loads((run / "result.json").read_text())["steps"] == 6
    assert read_metrics(run)["step"][-1] == 6


def test_a_resumed_run_draws_no_random_number_that_the_undisturbed_one_drew_before_its_first_step(
    no_finish, stop_after, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the environment of the learning curve draws one when it is made."""
    settings = settings_of_agent("vime", "")
    made = settings.make_evaluation_env

    def drawing(settings, *arguments):
        torch.rand(1)
        return made(settings, *arguments)

    monkeypatch.setattr(settings, "make_evaluation_env", drawing)
    often = f"{PPO} --curiosity none --evaluate-every 128 --checkpoint-every 0 --steps 320".split()

    def train_to(out: str) -> int:
        return cli.main(["train", "vime", *often, "--out", str(tmp_path / out)])

    assert train_to("undisturbed") == 0
    with stop_after(192):
        assert train_to("run") == 130
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert same_metrics(tmp_path / "run", tmp_path / "undisturbed")
