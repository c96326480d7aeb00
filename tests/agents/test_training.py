"""What a training leaves in its run folder, through the command line, on the point world."""

import re
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.agents.commands.finish import random_return
from rlgen.data import Demonstrations, Episode
from rlgen.envs import make_vec
from rlgen.reports.curve_data import panels_for, panels_of
from rlgen.runs import Result, RunFolder, read_metrics


def test_a_finished_gail_run_holds_everything(rlgen_train, tmp_path: Path, capsys) -> None:
    penalties = ["--gail.penalties.bottleneck", "0.5", "--gail.penalties.quantize", "8"]
    often = ["--evaluate-every", "128", "--checkpoint-every", "128"]
    assert rlgen_train("gail", "--steps", "320", *often, *penalties) == 0
    run = tmp_path / "run"
    for name in (
        "config.json",
        "versions.json",
        "metrics.csv",
        "result.json",
        "display.json",
        "policy.zip",
        "curves.png",
        "report.html",
    ):
        assert (run / name).stat().st_size > 0, name
    result = Result.read(run)
    assert result.returns is not None
    assert (result.agent, result.env_steps) == ("gail", 320)
    assert (result.returns.env, result.returns.episodes) == ("PointWorld-v0", 4)
    assert result.returns.normalised_return is not None
    rows = read_metrics(run)
    steps, returns = rows["step"], rows["evaluation/return_mean"]
    assert steps[~np.isnan(returns)].tolist() == [128, 256, 320]
    assert {"gail/loss", "gail/reward", "train/approx_kl", "rollout/ep_rew_mean"} <= set(rows)
    drawn = panels_for(list(rows), panels_of([run]))
    assert {"Information through the bottleneck [nats]", "Perplexity of the codes", "Share of clipped ratios"} <= {
        panel.title for panel in drawn
    }
    assert not {panel.title for panel in drawn} & set(rows), "a title in words"
    assert "but not drawn: train/" in (run / "report.html").read_text()
    assert "PointWorld-v0" in capsys.readouterr().out


def test_the_saved_policy_is_the_trained_one_and_opens_in_plain_sb3(
    rlgen_train, no_finish, tmp_path: Path, demos
) -> None:
    assert rlgen_train("gail", "--steps", "128") == 0
    model, demonstrations, achieved = no_finish[0][2:]
    assert achieved.wall_seconds > 0
    model.save(tmp_path / "policy.zip")
    observations = demonstrations.observations
    loaded = PPO.load(tmp_path / "policy.zip", device="cpu").predict(observations, deterministic=True)[0]
    np.testing.assert_array_equal(loaded, model.predict(observations, deterministic=True)[0])


CLONINGS = [([], "regularised"), (["--bc.dropout", "0", "--bc.noise", "0"], "plain")]


@pytest.mark.parametrize(("options", "kept"), CLONINGS)
def test_a_cloning_run_says_which_cloning_was_kept(rlgen_train, tmp_path: Path, capsys, options, kept) -> None:
    assert rlgen_train("bc", *options) == 0
    assert Result.read(tmp_path / "run").metrics == {"cloning": kept}
    shown = capsys.readouterr().out
    assert re.search(rf"cloning kept\W+{kept}", shown)
    assert "50 updates in" in shown


def test_a_finished_bc_run_holds_its_losses_and_result(rlgen_train, tmp_path: Path) -> None:
    assert rlgen_train("bc") == 0
    rows = read_metrics(tmp_path / "run")
    assert rows["step"].tolist() == [25, 50]
    assert np.isfinite(rows["bc/held_out_loss"]).all()
    assert Result.read(tmp_path / "run").env_steps == 0


@pytest.mark.parametrize(("arguments", "threads"), [([], 2), (["--threads", "1"], 1)])
def test_the_versions_tell_the_threads_that_train(
    arguments: list[str], threads: int, rlgen_train, no_finish, tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    assert rlgen_train("bc", *arguments) == 0
    assert RunFolder.open(tmp_path / "run").versions["torch_threads"] == torch.get_num_threads() == threads
    torch.set_num_threads(before)


def test_a_folder_that_holds_something_is_refused_and_untouched(rlgen_train, contents, tmp_path: Path, capsys) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    before = contents()
    assert rlgen_train("gail", "--steps", "128") == 2
    assert contents() == before
    assert "thesis.txt" in capsys.readouterr().err


def test_a_folder_with_a_run_is_refused_and_names_resume(
    rlgen_train, no_finish, contents, tmp_path: Path, capsys
) -> None:
    assert rlgen_train("gail", "--steps", "64") == 0
    before = contents()
    assert rlgen_train("gail", "--steps", "64") == 2
    assert contents() == before
    assert "rlgen resume" in capsys.readouterr().err


def test_demonstrations_of_another_task_leave_no_folder_behind(rlgen_train, tmp_path: Path, capsys) -> None:
    wrong = tmp_path / "wrong.npz"
    Demonstrations.from_episodes([Episode(observations=np.zeros((5, 7)), actions=np.zeros((4, 2)))]).save(wrong)
    assert rlgen_train("gail", demos=wrong) == 2
    assert not (tmp_path / "run").exists()
    assert "'observations'" in capsys.readouterr().err


def test_an_environment_without_a_time_limit_is_refused_before_there_is_a_folder(
    rlgen_train, tmp_path: Path, capsys
) -> None:
    gym.register("EndlessPoint-v0", gym.spec("PointWorld-v0").entry_point)
    assert rlgen_train("bc", "--env", "EndlessPoint-v0") == 2
    assert "max_episode_steps" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_actions_without_bounds_have_no_return_of_chance(caplog) -> None:
    class Unbounded(gym.Wrapper):
        def __init__(self) -> None:
            super().__init__(gym.spec("PointWorld-v0").entry_point())
            self.action_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)

    gym.register("UnboundedPoint-v0", Unbounded, max_episode_steps=12)
    caplog.set_level("INFO", "rlgen")
    for name, known in (("PointWorld-v0", True), ("UnboundedPoint-v0", False)):
        assert (random_return(partial(make_vec, name, backend="gymnasium")) is not None) == known
    assert "unbounded" in caplog.text


def test_the_experts_return_is_that_of_the_whole_file(rlgen_train, tmp_path: Path, point_demonstrations) -> None:
    assert rlgen_train("bc", "--trajectories", "3") == 0
    returns = point_demonstrations.episode_returns
    assert abs(returns.mean() - returns[:3].mean()) > 0.01
    assert Result.read(tmp_path / "run").returns.expert_return == pytest.approx(returns.mean(), rel=1e-6)


def test_random_actions_are_played_as_often_whatever_the_evaluations_length(rlgen_train, tmp_path: Path) -> None:
    found = []
    for number, episodes in enumerate(("2", "7")):
        assert rlgen_train("bc", "--episodes", episodes, "--out", str(tmp_path / f"run{number}")) == 0
        found.append(Result.read(tmp_path / f"run{number}").returns)
    assert found[0].random_return == found[1].random_return
    assert [result.episodes for result in found] == [2, 7]


def test_the_experts_policy_is_one_where_it_is_at_hand(rlgen_train, tmp_path: Path, demos, capsys) -> None:
    assert rlgen_train("bc") == 0
    first = Result.read(tmp_path / "run").returns
    copy = tmp_path / "expert.zip"
    copy.write_bytes((tmp_path / "run" / "policy.zip").read_bytes())
    out = str(tmp_path / "again")
    assert rlgen_train("bc", "--expert", str(copy), "--out", out) == 0
    again = Result.read(out).returns
    assert (first.reference, again.reference) == ("demonstrations", "expert")
    assert again.expert_return == again.return_mean == first.return_mean
    assert again.normalised_return == 1.0
    assert "(0 random, 1 expert)" in capsys.readouterr().out
    assert rlgen_train("gail", "--expert", str(tmp_path / "none.zip"), "--out", str(tmp_path / "no")) == 2
    assert not (tmp_path / "no").exists()


def test_the_first_episodes_alone_are_used_and_kept(rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("gail", "--steps", "64", "--trajectories", "3") == 0
    assert Demonstrations.load(tmp_path / "run" / "demonstrations.npz").n_episodes == 3


def test_a_stride_thins_the_first_episodes_alike_for_every_seed(
    rlgen_train, no_finish, tmp_path: Path, demos: Path
) -> None:
    kept = []
    for seed in ("0", "1"):
        out = tmp_path / seed
        options = ("--trajectories", "3", "--stride", "4", "--seed", seed, "--out", str(out))
        assert rlgen_train("gail", "--steps", "64", *options) == 0
        kept.append(Demonstrations.load(out / "demonstrations.npz"))
    assert (kept[0].n_episodes, kept[0].stride) == (3, 4)
    assert np.array_equal(kept[0].observations, kept[1].observations)
    assert cli.main(["demos", "convert", str(demos), str(tmp_path / "thin.npz"), "--first", "3", "--every", "4"]) == 0
    assert np.array_equal(kept[0].observations, Demonstrations.load(tmp_path / "thin.npz").observations)
    assert rlgen_train("gail", "--stride", "0", "--out", str(tmp_path / "no")) == cli.INPUT_ERROR
    assert not (tmp_path / "no").exists()
