"""`rlgen train rl` on the point world."""

from pathlib import Path

import numpy as np
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.runs import Result, read_metrics


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
