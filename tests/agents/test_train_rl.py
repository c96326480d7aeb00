"""`rlgen train rl` on the point world."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import PPO

from rlgen.agents import LearnerConfig, cli
from rlgen.agents.commands.train_explore import TrainExplore
from rlgen.agents.commands.train_rl import TrainRL
from rlgen.runs import Result, read_metrics
from rlgen.runs.config import to_json

SAC = ["--learner.algorithm", "sac"]


def test_a_finished_run_holds_everything_and_is_called_ppo(rlgen_train, tmp_path: Path, capsys) -> None:
    assert rlgen_train("rl", "--steps", "320", "--evaluate-every", "128") == 0
    run = tmp_path / "run"
    for name in ("config.json", "metrics.csv", "result.json", "policy.zip", "curves.png", "report.html"):
        assert (run / name).stat().st_size > 0, name
    assert (Result.read(run).agent, Result.read(run).env_steps) == ("rl", 320)
    assert "PPO on PointWorld-v0" in capsys.readouterr().out
    PPO.load(run / "policy.zip", device="cpu")
    assert cli.main(["resume", str(run)]) == 0


def test_it_learns_the_tasks_reward(rlgen_train, no_finish, tmp_path: Path) -> None:
    settings = {
        "hidden": 32,
        "n-steps": 64,
        "n-epochs": 10,
        "batch-size": 64,
        "initial-std": 0.5,
        "learning-rate": 1e-3,
    }
    learner = [part for name, value in settings.items() for part in (f"--learner.{name}", str(value))]
    schedule = ["--learner.schedule", "constant", "--evaluate-every", "15000"]
    assert rlgen_train("rl", "--steps", "30000", *learner, *schedule) == 0
    returns = read_metrics(tmp_path / "run")["evaluation/return_mean"]
    first, *_, last = returns[~np.isnan(returns)]
    assert last > 8  # of at most 12, less the way to the middle and the wind
    assert last > first - 1


def test_a_cloned_policy_is_trained_on_and_resumed_without_its_run(
    rlgen_train, demos: Path, tmp_path: Path, capsys
) -> None:
    cloned = tmp_path / "cloned"
    options = "--bc.max-updates 20 --bc.check-every 10 --no-video --episodes 2 --hidden 16"
    words = ["--demos", str(demos), *options.split()]
    assert cli.main(["train", "bc", "--env", "PointWorld-v0", *words, "--out", str(cloned)]) == 0
    assert rlgen_train("rl", "--start-policy", str(cloned), "--steps", "64") == 2
    assert "instead of" in capsys.readouterr().err
    assert rlgen_train("rl", "--start-policy", str(cloned), "--learner.hidden", "16", "--steps", "64") == 0
    shutil.rmtree(cloned)
    assert cli.main(["resume", str(tmp_path / "run"), "--steps", "128"]) == 0


@pytest.mark.parametrize("words", [["--backward-from", "run"], ["--backward-from=run"], ["--backward_from", "run"]])
def test_starts_that_move_backward_have_the_defaults_that_were_measured(words: list[str]) -> None:
    measured = {"n_steps": 625, "schedule": "constant", "gamma": 0.998, "batch_size": 500, "n_epochs": 10}
    kind = TrainRL.for_arguments(words, {})
    assert to_json(kind.learner) == to_json(replace(LearnerConfig(), hidden=(64, 64), **measured))
    assert kind.n_envs == 8
    trpo = TrainRL.for_arguments([*words, "--learner.algorithm", "trpo"], {})
    assert (trpo.learner.algorithm, trpo.learner.gamma, trpo.n_envs) == ("trpo", 0.998, 8)


@pytest.mark.parametrize("words", [[], ["--backward-from", "None"], ["--backward-from", "x", *SAC]])
def test_other_trainings_have_the_usual_defaults(words: list[str]) -> None:
    without = [word for word in words if word in SAC]
    assert TrainRL.for_arguments(words, {}).learner == TrainRL.for_arguments(without, {}).learner
    assert TrainRL.for_arguments(words, {}).n_envs == TrainRL.n_envs
    curious = [TrainExplore.for_arguments(given, {}) for given in (words, without)]
    assert to_json(curious[0].learner) == to_json(curious[1].learner)


def test_typed_settings_and_those_of_another_run_go_before_defaults(tmp_path: Path, monkeypatch) -> None:
    used: list[TrainRL] = []
    monkeypatch.setattr(TrainRL, "run", lambda self: used.append(self) or 0)
    command = ["train", "rl", "--env", "Ant-v5", "--out", str(tmp_path / "run"), "--backward-from", "archive"]
    assert cli.main([*command, "--learner.gamma", "0.9", "--n-envs", "3"]) == 0
    assert (used[0].learner.gamma, used[0].learner.n_steps, used[0].n_envs) == (0.9, 625, 3)
    earlier = TrainRL(env="Ant-v5", out=tmp_path, backward_from=Path("archive")).recorded()
    (tmp_path / "config.json").write_text(json.dumps(earlier))
    assert cli.main([*command, "--config", str(tmp_path / "config.json")]) == 0
    again = TrainRL.restored({name: value for name, value in earlier.items() if name != "agent"})
    for settings in (used[1], again):  # a run resumes as it began
        assert to_json(settings.learner) == earlier["learner"]
        assert settings.n_envs == earlier["n_envs"] == 32
