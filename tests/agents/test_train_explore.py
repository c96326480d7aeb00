"""`rlgen train vime` on the point world: what it leaves, how it goes on, and what it refuses."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from rlgen.agents import Explorer, cli
from rlgen.agents.commands import train_explore
from rlgen.agents.commands.train_explore import TrainExplore
from rlgen.agents.curiosity import CURIOSITIES
from rlgen.agents.learner import EXPLORATION
from rlgen.data import Visits
from rlgen.errors import InputError
from rlgen.rewards import InformationGainConfig, ReturnScale
from rlgen.runs import Result, load_checkpoint, read_metrics
from rlgen.runs.config import from_json

ROUND = 64  # 4 environments, 16 steps
SAC = ["--algo", "sac", "--sac.hidden", "8", "--sac.batch-size", "8", "--sac.learning-starts", "50"]


def test_a_finished_run_holds_everything(rlgen_train, tmp_path: Path, capsys) -> None:
    assert rlgen_train("vime", "--steps", "320", "--evaluate-every", "128") == 0
    run = tmp_path / "run"
    for name in ("config.json", "metrics.csv", "result.json", "policy.zip", "curves.png", "visits.npz", "report.html"):
        assert (run / name).stat().st_size > 0, name
    assert not (run / "demonstrations.npz").exists()
    rows = read_metrics(run)
    assert {"vime/loss", "vime/bonus_50", "vime/return", "rollout/ep_rew_mean", "coverage/cells"} <= set(rows)
    result, visits = Result.read(run), Visits.read(run / "visits.npz")
    assert (result.agent, result.env_steps) == ("vime", 320)
    assert (result.expert_return, result.normalised_return, result.share_of_failures) == (None, None, None)
    assert result.random_return is not None
    assert result.cells_visited == len(visits.cells) == rows["coverage/cells"][~np.isnan(rows["coverage/cells"])][-1]
    assert result.first_reward_step == visits.first_reward_step
    assert visits.counts.sum() == 320
    shown = capsys.readouterr().out
    assert "PPO + VIME on PointWorld-v0" in shown
    assert "cells visited" in shown
    assert "normalised" not in shown
    page = (run / "report.html").read_text()
    assert "States visited" in page
    assert "expert" not in page


def test_the_policy_can_be_evaluated_afterwards(rlgen_train, tmp_path: Path, capsys) -> None:
    assert rlgen_train("vime", "--steps", "64") == 0
    result = Result.read(tmp_path / "run")
    assert cli.main(["evaluate", str(tmp_path / "run"), "--out", str(tmp_path / "again.json"), "--n-envs", "4"]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["return_mean"] == pytest.approx(result.return_mean)
    assert again["expert_return"] is None


@pytest.mark.parametrize("kind", [*CURIOSITIES, "none"])
def test_every_curiosity_trains_by_its_name(kind: str, rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("vime", "--curiosity", kind, "--steps", "128") == 0
    groups = {name.partition("/")[0] for name in read_metrics(tmp_path / "run")}
    assert groups & {*CURIOSITIES} == {kind} - {"none"}
    assert no_finish[0][3] is None, "no demonstrations"


@pytest.mark.parametrize("algo", ["a2c", "trpo", "sac"])
def test_other_learners_explore_too(algo: str, rlgen_train, no_finish, tmp_path: Path) -> None:
    if algo == "trpo":
        pytest.importorskip("sb3_contrib")
    options = [*SAC, "--update-every", "40", "--evaluate-every", "0"] if algo == "sac" else ["--algo", algo]
    assert rlgen_train("vime", *options, "--steps", "128") == 0
    assert no_finish[0][2].num_timesteps == 128
    assert np.nanmax(read_metrics(tmp_path / "run")["vime/reward"]) > 0


def test_only_the_settings_that_are_read_are_recorded(rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("vime", "--steps", "64", "--vime.samples", "2") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["vime"]["samples"] == 2
    assert config["eta"] == CURIOSITIES["vime"].usual_eta
    assert not {"sac", "update_every", *CURIOSITIES} & set(config) - {"vime"}
    values = {name: value for name, value in config.items() if name != "agent"}
    again = from_json(TrainExplore, values)
    assert again.vime.samples == 2
    assert again.recorded() == config
    alone = TrainExplore(env="x", out=Path("y"), curiosity="none", algo="sac").recorded()
    assert not {"learner", "eta", "final_eta", "scale_reward", "update_every", *CURIOSITIES} & set(alone)


def test_every_curiosity_has_its_settings_on_the_command_line() -> None:
    own = {field.name: field for field in fields(TrainExplore)}
    for name, kind in CURIOSITIES.items():
        assert own[name].type is kind.config_type()
        assert kind(own[name].default_factory()).config == kind.config_type()()
    assert own["learner"].default is EXPLORATION


def test_ctrl_c_saves_says_how_to_go_on_and_the_run_goes_on(
    rlgen_train, no_finish, tmp_path: Path, capsys, stop_after
) -> None:
    with stop_after(2 * ROUND):
        assert rlgen_train("vime", "--steps", "320", "--evaluate-every", "0") == 130
    run = tmp_path / "run"
    assert f"rlgen resume {run}" in capsys.readouterr().err
    assert load_checkpoint(run).step == 2 * ROUND
    assert Visits.read(run / "visits.npz").counts.sum() == 2 * ROUND
    assert cli.main(["resume", str(run)]) == 0
    assert no_finish[0][2].num_timesteps == 5 * ROUND
    assert Visits.read(run / "visits.npz").counts.sum() == 5 * ROUND
    assert read_metrics(run)["step"].tolist() == [64, 128, 192, 256, 320]


def test_ctrl_c_between_the_single_steps_of_sac_loses_none(rlgen_train, no_finish, tmp_path: Path, stop_after) -> None:
    with stop_after(48):
        assert rlgen_train("vime", *SAC, "--steps", "96", "--evaluate-every", "0") == 130
    run = tmp_path / "run"
    assert load_checkpoint(run).step == 48
    assert cli.main(["resume", str(run)]) == 0
    assert no_finish[0][2].num_timesteps == 96
    assert Visits.read(run / "visits.npz").counts.sum() == 96


def test_a_run_that_was_killed_right_after_its_last_checkpoint_keeps_its_visits(
    rlgen_train, no_finish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files beside a checkpoint are written after it."""
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Explorer, "files", lambda agent: {}["killed"])
        with pytest.raises(KeyError, match="killed"):
            rlgen_train("vime", "--steps", "128", "--evaluate-every", "0")
    assert load_checkpoint(run).step == 128
    assert not (run / "visits.npz").exists()
    assert cli.main(["resume", str(run)]) == 0
    assert Visits.read(run / "visits.npz").counts.sum() == 128


@pytest.mark.parametrize(
    ("options", "scaled"),
    [
        (["--learner.gamma", "0.9"], True),
        (["--learner.gamma", "0.9", "--no-scale-reward"], False),
        ([*SAC, "--update-every", "40"], False),
    ],
)
def test_rewards_are_scaled_for_on_policy_learners_unless_left_out(
    options: list[str], scaled: bool, rlgen_train, no_finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = []

    class Seen(Explorer):
        def __init__(self, *arguments) -> None:
            super().__init__(*arguments)
            scales.append(self.scale)

    monkeypatch.setattr(train_explore, "Explorer", Seen)
    assert rlgen_train("vime", *options, "--steps", "64", "--evaluate-every", "0") == 0
    (scale,) = scales
    assert (scale is not None) == scaled
    if scaled:
        assert isinstance(scale, ReturnScale)
        assert (scale.spread.gamma, scale.spread.n_envs) == (0.9, 4)
        assert scale.spread.count > 0, "it was used"


@pytest.mark.parametrize(
    "options",
    [
        ["--eta", "-1"],
        ["--final-eta", "2"],
        ["--curiosity", "cat"],
        ["--curiosity", "none", "--eta", "0.1"],
        ["--algo", "dqn"],
        ["--vime.hidden", "0"],
        ["--update-every", "0"],
        ["--sac.tau", "0"],
        ["--env", "CartPole-v1", "--algo", "sac"],
        ["--env", "FrozenLake-v1"],
        ["--demos", "file.npz"],
    ],
    ids=" ".join,
)
def test_settings_that_cannot_work_leave_no_folder_behind(options: list[str], rlgen_train, tmp_path: Path) -> None:
    try:
        code = rlgen_train("vime", *options)
    except SystemExit as refused:  # by the parser
        code = refused.code
    assert code == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"curiosity": "none", "eta": 0.1}, "--eta"),
        ({"curiosity": "none", "eta": 0.0, "final_eta": 0.0}, "--eta and --final-eta"),
        ({"curiosity": "rnd", "vime": InformationGainConfig(samples=2)}, "--vime.samples"),
        ({"update_every": 40}, "--update-every"),
        ({"algo": "sac", "learner": replace(EXPLORATION, n_steps=7)}, "--learner.n-steps"),
    ],
    ids=str,
)
def test_settings_that_nothing_reads_are_refused(given: dict, named: str) -> None:
    with pytest.raises(InputError, match=f"got {named}; leave that out"):
        TrainExplore(env="x", out=Path("y"), **given)


def test_discrete_actions_are_explored_as_well(rlgen_train, no_finish) -> None:
    assert rlgen_train("vime", "--env", "CartPole-v1", "--steps", "64", "--evaluate-every", "0") == 0


def test_the_help_names_the_curiosities_and_their_settings(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "vime", "--help-all"])
    text = capsys.readouterr().out
    assert "--algo {ppo,a2c,trpo,sac}" in text
    for name in CURIOSITIES:
        assert f"{name} options" in text
