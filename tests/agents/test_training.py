"""Training in run folders, through the command line, on the point world."""

import base64
import io
import json
import os
import pickletools
import signal
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from safetensors import safe_open
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.agents.bc import BCConfig
from rlgen.agents.commands import train, training
from rlgen.agents.commands.finish import chance_return
from rlgen.agents.commands.train import TrainBC, TrainGAIL
from rlgen.agents.gail import GAILConfig
from rlgen.agents.learner import LearnerConfig
from rlgen.data import Demonstrations
from rlgen.data.rows import Episode
from rlgen.envs import make_vec
from rlgen.rewards.adversarial import AdversarialConfig
from rlgen.runs.checkpoint import list_checkpoints, load_checkpoint
from rlgen.runs.config import from_json, to_json
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics, read_metrics
from rlgen.runs.result import Result

ROUND = 64  # 4 environments, 16 steps


@pytest.fixture
def demos(point_demonstrations, tmp_path: Path) -> Path:
    path = tmp_path / "demos.npz"
    point_demonstrations.save(path)
    return path


@pytest.fixture
def rlgen_train(demos: Path, tmp_path: Path):
    """`rlgen_train("gail", "--steps", "320")`: the exit code of the command on the point world, in tmp_path/run."""

    def run(agent: str, *options: str, demos: Path = demos) -> int:
        small = ["--device", "cpu", "--no-video", "--episodes", "4"]
        prefix = "--gail." if agent == "gail" else "--"
        small += [f"{prefix}bc.max-updates", "50", f"{prefix}bc.check-every", "25"]
        if agent == "bc":
            small += ["--hidden", "8"]
        else:
            small += ["--n-envs", "4", "--learner.n-steps", "16", "--learner.batch-size", "32"]
            small += ["--learner.n-epochs", "1", "--learner.hidden", "8"]
            small += ["--gail.discriminator.hidden", "8", "--gail.discriminator.batch-size", "32"]
        where = ["--env", "PointWorld-v0", "--demos", str(demos), "--out", str(tmp_path / "run")]
        return cli.main(["train", agent, *where, *small, *options])

    return run


@pytest.fixture
def no_finish(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """Leaves out the final evaluation, drawing and reporting; holds the arguments of each call."""
    calls: list[tuple] = []
    monkeypatch.setattr(training, "finish", lambda *arguments: calls.append(arguments))
    return calls


def stop_after(last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press Ctrl-C when the metrics of step `last` are written."""
    write = Metrics.write

    def press(metrics: Metrics, step: int, values: Any) -> None:
        write(metrics, step, values)
        if step == last:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Metrics, "write", press)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_gail_run_holds_everything(rlgen_train, tmp_path: Path, capsys) -> None:
    assert rlgen_train("gail", "--steps", "320", "--evaluate-every", "128", "--checkpoint-every", "128") == 0
    run = tmp_path / "run"
    for name in (
        "config.json",
        "versions.json",
        "metrics.csv",
        "result.json",
        "policy.zip",
        "curves.png",
        "report.html",
    ):
        assert (run / name).stat().st_size > 0, name
    result = Result.read(run)
    assert (result.agent, result.env, result.env_steps, result.episodes) == ("gail", "PointWorld-v0", 320, 4)
    assert result.normalised_return is not None
    rows = read_metrics(run)
    steps, returns = rows["step"], rows["evaluation/return_mean"]
    assert steps[~np.isnan(returns)].tolist() == [128, 256, 320]
    assert {"gail/loss", "gail/reward", "train/approx_kl", "rollout/ep_rew_mean"} <= set(rows)
    assert "PointWorld-v0" in capsys.readouterr().out


def test_the_saved_policy_is_the_trained_one_and_opens_in_plain_sb3(
    rlgen_train, no_finish, tmp_path: Path, demos
) -> None:
    assert rlgen_train("gail", "--steps", "128") == 0
    model, demonstrations, seconds = no_finish[0][2:]
    assert seconds > 0
    model.save(tmp_path / "policy.zip")
    observations = demonstrations.observations
    loaded = PPO.load(tmp_path / "policy.zip", device="cpu").predict(observations, deterministic=True)[0]
    np.testing.assert_array_equal(loaded, model.predict(observations, deterministic=True)[0])


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


def test_the_settings_of_cloning_are_its_own(rlgen_train, no_finish) -> None:
    assert rlgen_train("bc", "--hidden", "7", "5", "--initial-std", "0.5") == 0
    model = no_finish[0][2]
    assert model.n_envs == 1
    assert [layer.out_features for layer in model.policy.mlp_extractor.policy_net[::2]] == [7, 5]
    assert model.policy.log_std.exp().tolist() == pytest.approx([0.5 * 0.4] * 2)
    with pytest.raises(SystemExit):
        rlgen_train("bc", "--learner.n-steps", "16")


def test_a_folder_that_holds_something_is_refused_and_untouched(rlgen_train, tmp_path: Path, capsys) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("years of work")
    before = contents(tmp_path / "run")
    assert rlgen_train("gail", "--steps", "128") == 2
    assert contents(tmp_path / "run") == before
    assert "thesis.txt" in capsys.readouterr().err


def test_a_folder_with_a_run_is_refused_and_names_resume(rlgen_train, no_finish, tmp_path: Path, capsys) -> None:
    assert rlgen_train("gail", "--steps", "64") == 0
    before = contents(tmp_path / "run")
    assert rlgen_train("gail", "--steps", "64") == 2
    assert contents(tmp_path / "run") == before
    assert "rlgen resume" in capsys.readouterr().err


def test_demonstrations_of_another_task_leave_no_folder_behind(rlgen_train, tmp_path: Path, capsys) -> None:
    wrong = tmp_path / "wrong.npz"
    Demonstrations.from_episodes([Episode(observations=np.zeros((5, 7)), actions=np.zeros((4, 2)))]).save(wrong)
    assert rlgen_train("gail", demos=wrong) == 2
    assert not (tmp_path / "run").exists()
    assert "'observations'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--threads", "0"],
        ["--gail.average", "1"],
        ["--gail.r1", "-1"],
        ["--learner.hidden", "8", "0"],
        ["--learner.n-steps", "1", "--n-envs", "1"],
        ["--evaluate-every", "-1"],
        ["--steps", "inf"],
        ["--device", "cuda:99"],
        ["--seed", "-1"],
        ["--learner.algorithm", "trpo"],
    ],
    ids=" ".join,
)
def test_settings_that_cannot_work_leave_no_folder_behind(
    options: list[str], rlgen_train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    try:
        code = rlgen_train("gail", *options)
    except SystemExit as refused:  # by the parser
        code = refused.code
    assert code == 2
    assert not (tmp_path / "run").exists()


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
        env = make_vec(name, 2, backend="gymnasium")
        assert (chance_return(env) is not None) == known
        env.close()
    assert "no bounds" in caplog.text


def test_the_experts_return_is_that_of_the_whole_file(rlgen_train, tmp_path: Path, point_demonstrations) -> None:
    assert rlgen_train("bc", "--trajectories", "3") == 0
    returns = point_demonstrations.episode_returns
    assert abs(returns.mean() - returns[:3].mean()) > 0.01
    assert Result.read(tmp_path / "run").expert_return == pytest.approx(returns.mean(), rel=1e-6)


def test_the_first_episodes_alone_are_used_and_kept(rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("gail", "--steps", "64", "--trajectories", "3") == 0
    assert Demonstrations.load(tmp_path / "run" / "demonstrations.npz").n_episodes == 3


def test_ctrl_c_saves_says_how_to_go_on_and_exits_with_130(
    rlgen_train, no_finish, tmp_path: Path, capsys, monkeypatch
) -> None:
    stop_after(2 * ROUND, monkeypatch)
    assert rlgen_train("gail", "--steps", "320", "--evaluate-every", "0") == 130
    run = tmp_path / "run"
    assert f"rlgen resume {run}" in capsys.readouterr().err
    assert load_checkpoint(run).step == 2 * ROUND
    assert not no_finish
    monkeypatch.undo()
    monkeypatch.setattr(training, "finish", lambda *arguments: no_finish.append(arguments))
    assert cli.main(["resume", str(run)]) == 0
    assert no_finish[0][2].num_timesteps == 5 * ROUND
    assert len(RunFolder.open(run).versions["sittings"]) == 1
    assert read_metrics(run)["step"].tolist() == [64, 128, 192, 256, 320]


def test_ctrl_c_in_the_last_round_goes_on_to_no_evaluation(
    rlgen_train, no_finish, tmp_path: Path, monkeypatch, capsys
) -> None:
    stop_after(4 * ROUND, monkeypatch)
    assert rlgen_train("gail", "--steps", "256", "--evaluate-every", "0") == 130
    run = tmp_path / "run"
    assert f"rlgen resume {run}" in capsys.readouterr().err
    assert load_checkpoint(run).step == 4 * ROUND
    assert not no_finish
    assert cli.main(["resume", str(run)]) == 0
    assert len(no_finish) == 1


def test_ctrl_c_while_cloning_says_how_to_go_on(rlgen_train, no_finish, tmp_path: Path, monkeypatch, capsys) -> None:
    with monkeypatch.context() as patch:
        stop_after(25, patch)
        assert rlgen_train("bc") == 130
    run = tmp_path / "run"
    assert f"rlgen resume {run}" in capsys.readouterr().err
    assert not no_finish
    assert cli.main(["resume", str(run)]) == 0
    assert read_metrics(run)["step"].tolist() == [25, 50]
    assert len(no_finish) == 1


def test_ctrl_c_in_the_final_evaluation_says_how_to_go_on(rlgen_train, tmp_path: Path, monkeypatch, capsys) -> None:
    def interrupt(*arguments: Any, **settings: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rlgen.agents.commands.finish.evaluate", interrupt)
    assert rlgen_train("bc") == 130
    assert f"rlgen resume {tmp_path / 'run'}" in capsys.readouterr().err


def test_ctrl_c_in_the_warm_start_saves_it(rlgen_train, no_finish, tmp_path: Path, monkeypatch) -> None:
    from rlgen.agents.bc import BC

    learn, cloned = BC.learn, []

    def press(bc: BC) -> Any:
        result = learn(bc)
        cloned.append(bc.policy.action_net.weight.detach().clone())
        os.kill(os.getpid(), signal.SIGINT)
        return result

    monkeypatch.setattr(BC, "learn", press)
    assert rlgen_train("gail", "--steps", "128") == 130
    step, state = load_checkpoint(tmp_path / "run")
    assert step == 0
    assert state["gail"]["model"]["policy"]["action_net.weight"].equal(cloned[0])
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert len(cloned) == 1, "not cloned a second time"


def test_resuming_a_finished_run_changes_nothing(rlgen_train, tmp_path: Path, capsys) -> None:
    assert rlgen_train("bc") == 0
    before = contents(tmp_path / "run")
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert contents(tmp_path / "run") == before
    assert "finished already" in capsys.readouterr().err


def test_a_run_that_was_reported_before_its_end_still_trains_on(
    rlgen_train, no_finish, tmp_path: Path, monkeypatch
) -> None:
    run = tmp_path / "run"
    stop_after(2 * ROUND, monkeypatch)
    assert rlgen_train("gail", "--steps", "256", "--evaluate-every", "0") == 130
    monkeypatch.undo()
    monkeypatch.setattr(training, "finish", lambda *arguments: no_finish.append(arguments))
    assert cli.main(["report", str(run)]) == 0
    assert (run / "report.html").is_file()
    assert cli.main(["resume", str(run)]) == 0
    assert no_finish[0][2].num_timesteps == 4 * ROUND


def test_a_run_is_finished_when_its_report_tells_its_result(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    run = RunFolder.open(tmp_path)
    assert not train.is_finished(run)
    for name, time_s in (("result.json", 100), ("report.html", 99)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time_s, time_s))
    assert not train.is_finished(run), "reported before there was a result"
    os.utime(tmp_path / "report.html", (100, 100))
    assert train.is_finished(run)


def test_resuming_after_the_last_checkpoint_only_finishes(rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("gail", "--steps", "128", "--evaluate-every", "64") == 0
    rows = (tmp_path / "run" / "metrics.csv").read_bytes()
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert len(no_finish) == 2
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == rows


def test_resuming_another_agents_run_is_refused(tmp_path: Path, capsys) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"agent": "alphago"}))
    assert cli.main(["resume", str(tmp_path)]) == 2
    assert "alphago" in capsys.readouterr().err


def holds_pickle(content: bytes) -> bool:
    """Whether a file is a pickle, or a zip (as torch.save writes) with one inside, at any depth."""
    if content[:1] == b"\x80":
        return True
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return False
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return any(holds_pickle(archive.read(name)) for name in archive.namelist())


def test_no_file_of_a_run_is_a_pickle_but_sb3s_own_policy(rlgen_train, tmp_path: Path) -> None:
    assert rlgen_train("gail", "--steps", "128", "--checkpoint-every", "64") == 0
    files = contents(tmp_path / "run")
    assert any(name.endswith(".safetensors") for name in files)
    assert {Path(name).suffix for name in files} & {".pkl", ".pickle", ".pt", ".pth"} == set()
    assert [name for name, content in files.items() if holds_pickle(content)] == ["policy.zip"]
    for path in (tmp_path / "run").rglob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype != object for name in arrays.files)


def test_the_saved_policy_needs_rlgen_for_its_features_alone(rlgen_train, tmp_path: Path) -> None:
    assert rlgen_train("gail", "--steps", "64") == 0
    with zipfile.ZipFile(tmp_path / "run" / "policy.zip") as archive:
        data = json.loads(archive.read("data"))
    pickles = [base64.b64decode(value[":serialized:"]) for value in data.values() if ":serialized:" in str(value)]
    words = {word for content in pickles for _, word, _ in pickletools.genops(content) if isinstance(word, str)}
    assert {word for word in words if word.startswith("rlgen")} == {"rlgen.sb3.features"}


def test_a_checkpoint_on_disk_holds_what_a_resume_needs(rlgen_train, no_finish, tmp_path: Path) -> None:
    assert rlgen_train("gail", "--steps", "128") == 0
    newest = list_checkpoints(tmp_path / "run")[0]
    with safe_open(newest / "tensors.safetensors", "pt") as tensors:
        names = set(tensors.keys())
    for part in ("source/network", "source/optimiser", "source/normaliser", "model/policy", "model/optimiser", "scale"):
        assert any(f"gail/{part}/" in f"{name}/" for name in names), part
    assert any("rng/torch" in name for name in names)
    assert any("rng/numpy" in name for name in names)


OTHER = TrainGAIL(
    env="Ant-v5",
    demos=Path("some/ant.npz"),
    out=Path("runs/ant"),
    trajectories=4,
    seed=7,
    n_envs=3,
    backend="threads",
    threads=2,
    device="cpu",
    episodes=5,
    video=False,
    steps=12_345.0,
    checkpoint_every=10.0,
    evaluate_every=20.0,
    learner=LearnerConfig(algorithm="trpo", hidden=(7, 5, 3), target_kl=0.02, schedule="linear"),
    gail=GAILConfig(
        discriminator=AdversarialConfig(hidden=(9,), activation="relu", divergence="reverse_kl", normaliser="running"),
        gradient_penalty=10.0,
        warm_start=False,
        bc=BCConfig(loss="log_likelihood", average=0.0),
        average=0.9,
    ),
)


@pytest.mark.parametrize(
    "config",
    [
        OTHER,
        replace(OTHER, trajectories=None, threads=None, learner=LearnerConfig()),
        TrainGAIL(env="Ant-v5", demos=Path("a"), out=Path("b")),
        TrainBC(env="Ant-v5", demos=Path("a"), out=Path("b"), bc=BCConfig(max_updates=300)),
    ],
)
def test_a_configuration_comes_back_from_json_as_it_was(config: TrainGAIL | TrainBC) -> None:
    text = json.dumps(to_json(config))
    again = from_json(type(config), json.loads(text))
    assert again == config
    assert json.dumps(to_json(again)) == text


def test_every_training_can_be_resumed_by_its_name() -> None:
    assert {kind.agent: kind for kind in (TrainBC, TrainGAIL)} == train.TRAININGS
