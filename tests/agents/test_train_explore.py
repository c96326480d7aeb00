"""`rlgen train explore` on the point world: what it leaves, how it goes on, and what it refuses."""

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from rlgen.agents import Explorer, cli
from rlgen.agents.commands import train_explore
from rlgen.agents.commands.learner_choice import LEARNERS
from rlgen.agents.commands.observed import parse_observed
from rlgen.agents.commands.train_explore import TrainExplore
from rlgen.agents.commands.train_rl import TrainRL
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.agents.learner import EXPLORATION, LearnerConfig
from rlgen.agents.off_policy import SACConfig
from rlgen.data import Visits
from rlgen.errors import InputError
from rlgen.rewards import ReturnNormalizer
from rlgen.runs import Result, load_checkpoint, read_metrics

ROUND = 64  # 4 environments, 16 steps
SAC = [
    "--learner.algorithm", "sac", "--learner.hidden", "8", "--learner.batch-size", "8",
    "--learner.learning-starts", "50",
]  # fmt: skip


def test_a_finished_run_holds_everything(rlgen_train, tmp_path: Path, capsys) -> None:
    assert rlgen_train("vime", "--steps", "320", "--evaluate-every", "128") == 0
    run = tmp_path / "run"
    for name in ("config.json", "metrics.csv", "result.json", "policy.zip", "curves.png", "visits.npz", "report.html"):
        assert (run / name).stat().st_size > 0, name
    assert not (run / "demonstrations.npz").exists()
    rows = read_metrics(run)
    assert {"vime/loss", "vime/bonus_50", "vime/return", "rollout/ep_rew_mean", "coverage/cells"} <= set(rows)
    result, visits = Result.read(run), Visits.read(run / "visits.npz")
    assert (result.agent, result.env_steps) == ("explore", 320)
    returns = result.returns
    assert (returns.expert_return, returns.normalised_return, returns.share_of_failures) == (None, None, None)
    assert returns.random_return is not None
    assert (
        result.metrics["cells_visited"]
        == len(visits.cells)
        == rows["coverage/cells"][~np.isnan(rows["coverage/cells"])][-1]
    )
    assert result.metrics["first_reward_step"] == visits.first_reward_step
    assert visits.counts.sum() == 320
    shown = capsys.readouterr().out
    assert "PPO + VIME on PointWorld-v0" in shown
    assert "cells visited" in shown
    assert "normalized" not in shown
    page = (run / "report.html").read_text()
    assert "States visited" in page
    assert "expert" not in page


def test_the_policy_can_be_evaluated_afterwards(rlgen_train, tmp_path: Path, capsys) -> None:
    assert rlgen_train("vime", "--steps", "64") == 0
    result = Result.read(tmp_path / "run")
    assert cli.main(["evaluate", str(tmp_path / "run"), "--out", str(tmp_path / "again.json"), "--n-envs", "4"]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["return_mean"] == pytest.approx(result.returns.return_mean)
    assert again["expert_return"] is None


@pytest.mark.parametrize("kind", [*CURIOSITIES, "none"])
def test_every_curiosity_trains_by_its_name(kind: str, rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("explore", "--curiosity", kind, "--steps", "128") == 0
    groups = {name.partition("/")[0] for name in read_metrics(tmp_path / "run")}
    assert groups & {*CURIOSITIES} == {kind} - {"none"}
    assert no_finish[0][3] is None, "no demonstrations"


def test_a_task_says_what_a_curiosity_observes(rlgen_train, no_finish, tmp_path: Path) -> None:
    """Positions and velocities of the Ant, as config.json and the result say; typed numbers come first."""
    common = ("--steps", "64", "--curiosity", "rnd")
    for name, options, expected in (
        ("task", (), list(range(29))),
        ("typed", ("--observed", "0-1", "15-16"), [0, 1, 15, 16]),
        ("places", ("--curiosity", "first_visits"), [0, 1]),
        ("all", ("--observed", "all"), []),
        ("shorter", ("--env-kwargs", "include_cfrc_ext_in_observation=False"), []),
    ):
        out = tmp_path / name
        assert rlgen_train("explore", "--env", "rlgen/SparseAnt-v0", "--out", str(out), *common, *options) == 0
        assert json.loads((out / "config.json").read_text())["observed"] == expected
        said = no_finish[-1][4].metrics.get("observed")
        assert said == {29: "0-28", 4: "0-1 15-16", 2: "0-1", 0: None}[len(expected)]
        assert cli.main(["resume", str(out), "--steps", "128"]) == 0


@pytest.mark.parametrize("typed", ["3-1", "x", "1,2", "-1"])
def test_malformed_numbers_to_observe_are_refused(typed: str) -> None:
    with pytest.raises(InputError, match="numbers of an observation and ranges of them"):
        parse_observed([typed])


def test_numbers_that_the_task_does_not_have_are_refused_before_training(rlgen_train, capsys) -> None:
    assert rlgen_train("explore", "--curiosity", "rnd", "--observed", "0-2") == 2
    assert "an observation of 2, counted from 0" in capsys.readouterr().err


def test_a_half_life_of_the_scale_needs_a_scale(rlgen_train, no_finish, capsys) -> None:
    assert rlgen_train("explore", "--curiosity", "rnd", "--steps", "64", "--scale-half-life", "100") == 0
    assert no_finish[-1][2] is not None
    assert rlgen_train("explore", "--no-scale-reward", "--scale-half-life", "100") == 2
    assert "--scale-reward" in capsys.readouterr().err


@pytest.mark.parametrize("algo", ["a2c", "trpo", "sac"])
def test_other_learners_explore_too(algo: str, rlgen_train, no_finish, tmp_path: Path) -> None:
    if algo == "trpo":
        pytest.importorskip("sb3_contrib")
    options = (
        [*SAC, "--update-every", "40", "--evaluate-every", "0"] if algo == "sac" else ["--learner.algorithm", algo]
    )
    assert rlgen_train("explore", *options, "--steps", "128") == 0
    assert no_finish[0][2].num_timesteps == 128
    assert np.nanmax(read_metrics(tmp_path / "run")["vime/reward"]) > 0


def test_only_the_settings_that_are_read_are_recorded(rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("vime", "--steps", "64", "--vime.samples", "2") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["vime"]["samples"] == 2
    assert config["eta"] == CURIOSITIES["vime"].usual_eta
    assert not {"update_every", *CURIOSITIES} & set(config) - {"vime"}
    again = TrainExplore.restored({name: value for name, value in config.items() if name != "agent"})
    assert again.vime.samples == 2
    assert json.loads(json.dumps(again.recorded())) == config
    alone = TrainExplore(env="x", out=Path("y"), curiosity="none", learner=SACConfig()).recorded()
    assert not {"eta", "final_eta", "scale_reward", "update_every", *CURIOSITIES} & set(alone)


@pytest.mark.parametrize("name", CURIOSITIES)
def test_every_curiosity_has_its_settings_on_the_command_line_and_no_others(name: str) -> None:
    own = {field.name: field for field in fields(TrainExplore.for_arguments(["--curiosity", name], {}))}
    assert own[name].type is CURIOSITIES[name].config_type()
    assert own[name].default == CURIOSITIES[name].config_type()()
    assert not set(CURIOSITIES) - {name} & set(own)


@pytest.mark.parametrize(("kind", "usual"), [(TrainExplore, EXPLORATION), (TrainRL, LearnerConfig())])
def test_every_learner_has_its_settings_on_the_command_line(kind: type[TrainRL], usual: LearnerConfig) -> None:
    for algorithm, config in LEARNERS.items():
        learner = kind.for_arguments([f"--learner.algorithm={algorithm}"], {}).learner
        assert learner.algorithm == algorithm
        assert vars(learner) == vars(replace(usual, algorithm=algorithm) if config is LearnerConfig else config())


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
        assert isinstance(scale, ReturnNormalizer)
        assert (scale.return_std.gamma, scale.return_std.n_envs) == (0.9, 4)
        assert scale.return_std.count > 0, "it was used"


@pytest.mark.parametrize(
    "options",
    [
        ["--eta", "-1"],
        ["--final-eta", "2"],
        ["--curiosity", "cat"],
        ["--curiosity", "none", "--eta", "0.1"],
        ["--learner.algorithm", "dqn"],
        ["--vime.hidden", "0"],
        ["--update-every", "0"],
        ["--learner.algorithm", "sac", "--learner.tau", "0"],
        ["--env", "CartPole-v1", "--learner.algorithm", "sac"],
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
        ({"update_every": 40}, "--update-every"),
        ({"learner": SACConfig(), "scale_reward": False}, "--scale-reward"),
    ],
    ids=str,
)
def test_settings_that_nothing_reads_are_refused(given: dict, named: str) -> None:
    with pytest.raises(InputError, match=f"got {named}; leave it out"):
        TrainExplore(env="x", out=Path("y"), **given)


def test_discrete_actions_are_explored_as_well(rlgen_train, no_finish) -> None:
    assert rlgen_train("vime", "--env", "CartPole-v1", "--steps", "64", "--evaluate-every", "0") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("rl --learner.tau 0.1", "--learner.tau, which needs --learner.algorithm sac or td3 or tqc; leave it out"),
        ("rl --learner.algorithm sac --learner.n-steps=9", "needs --learner.algorithm ppo or a2c or trpo"),
        ("explore --learner.algorithm trpo --learner.buffer_size 9", "needs --learner.algorithm sac"),
        ("vime --rnd.clip 2", "needs --curiosity rnd"),
        ("explore --curiosity none --vime.samples 2", "needs --curiosity vime"),
        ("image --gan.latent 2", "needs --model gan"),
        ("rl --learner.hiden 4", "did you mean --learner.hidden?"),
    ],
)
def test_an_option_of_another_choice_names_that_choice(words: str, message: str, capsys) -> None:
    assert cli.main(["train", *words.split(), "--env", "x", "--out", "y"]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.startswith("error: expected ")


def test_the_help_names_the_choices_and_has_the_settings_of_the_chosen_ones(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "explore", "--curiosity", "rnd", "--learner.algorithm", "sac", "--help-all"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--learner.algorithm {ppo,a2c,trpo,sac,td3,tqc,crossq,dqn}" in text
    assert "--curiosity {vime,vime_2016,rnd,icm,l2,disagreement,lbs,counts," in text
    assert "--rnd.clip" in text
    assert "--learner.tau" in text
    assert "--vime." not in text
    assert "--learner.n-steps" not in text


def test_how_long_an_action_is_held_is_said_with_the_result(rlgen_train, tmp_path: Path, capsys) -> None:
    where = ("--env", "rlgen/SparseMountainCar-v0", "--env-kwargs", "action_repeat=5")
    assert rlgen_train("explore", *where, "--curiosity", "none", "--steps", "64") == 0
    assert Result.read(tmp_path / "run").metrics["action_repeat"] == 5
    assert "steps for which an action is held" in capsys.readouterr().out


def test_an_earlier_run_saw_every_number(rlgen_train, no_finish, tmp_path: Path) -> None:
    """A config.json that does not say what the curiosity saw is from before the choice."""
    out = tmp_path / "earlier"
    common = ("--env", "rlgen/SparseAnt-v0", "--curiosity", "rnd", "--steps", "64", "--out", str(out))
    assert rlgen_train("explore", *common, "--observed", "all") == 0
    config = json.loads((out / "config.json").read_text())
    assert config.pop("observed") == []
    (out / "config.json").write_text(json.dumps(config))
    assert cli.main(["resume", str(out), "--steps", "128"]) == 0
    other = tmp_path / "other"
    assert cli.main(["train", "explore", "--config", str(out), "--steps", "64", "--out", str(other)]) == 0
    assert json.loads((other / "config.json").read_text())["observed"] == []
