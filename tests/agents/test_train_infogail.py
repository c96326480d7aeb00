"""`rlgen train infogail` through the command line, on the point world, and what is asked of each of its codes."""

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.agents.commands import finish
from rlgen.data import Demonstrations, Episode
from rlgen.envs import make_vec
from rlgen.reports.video import Video
from rlgen.runs import Result, read_metrics
from rlgen.runs.evaluation import evaluate
from rlgen.sb3 import LatentCode
from rlgen.sb3.latent_code import UnderCode

TRAINING = """--env PointWorld-v0 --codes 3 --steps 320 --evaluate-every 128 --checkpoint-every 128 --n-envs 4
    --device cpu --no-video --episodes 4 --learner.n-steps 16 --learner.batch-size 32 --learner.n-epochs 1
    --learner.hidden 8 --gail.discriminator.hidden 8 --gail.discriminator.batch-size 32
    --gail.posterior.hidden 8 --gail.posterior.batch-size 32"""


@pytest.fixture(scope="module")
def trained(point_demonstrations: Demonstrations, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, beside which terminal.txt holds what its training printed."""
    folder = tmp_path_factory.mktemp("infogail")
    point_demonstrations.save(folder / "demos.npz")
    where = ["--demos", str(folder / "demos.npz"), "--out", str(folder / "run")]
    with redirect_stdout(io.StringIO()) as printed:
        assert cli.main(["train", "infogail", *where, *TRAINING.split()]) == 0
    (folder / "terminal.txt").write_text(printed.getvalue())
    return folder / "run"


def evaluated(run: Path, *options: str) -> dict:
    """What `rlgen evaluate` writes of `run`."""
    out = run.parent / "evaluation.json"
    assert cli.main(["evaluate", str(run), "--out", str(out), "--overwrite", *options]) == 0
    return json.loads(out.read_text())


def test_a_finished_run_holds_what_gails_does_and_the_returns_of_each_code(trained: Path) -> None:
    for name in ("config.json", "versions.json", "curves.png", "policy.zip", "demonstrations.npz"):
        assert (trained / name).stat().st_size > 0, name
    result = Result.read(trained)
    assert result.returns is not None
    assert (result.agent, result.env_steps, result.returns.episodes) == ("infogail", 320, 4)
    assert result.returns.normalised_return is not None
    assert list(result.returns.parts) == ["code 0", "code 1", "code 2"]
    assert len({mean for mean, _ in result.returns.parts.values()}) == 3, "an untrained policy acts by its code"
    rows = read_metrics(trained)
    assert rows["step"][~np.isnan(rows["evaluation/return_mean"])].tolist() == [128, 256, 320]
    assert {"gail/reward", "code/reward", "code/accuracy"} <= set(rows)
    page = (trained / "report.html").read_text()
    assert "InfoGAIL on PointWorld-v0" in page
    assert len(re.findall(r"<t[dh][^>]*>code ", page)) == 3
    shown = (trained.parent / "terminal.txt").read_text()
    assert all(f"code {code}" in shown for code in range(3))


def test_the_defaults_of_evaluate_repeat_the_runs_own_numbers_under_every_code(trained: Path) -> None:
    result = Result.read(trained)
    assert evaluated(trained)["per_episode"]["returns"] == result.returns.per_episode_returns
    for code, (mean, _) in enumerate(result.returns.parts.values()):
        found = evaluated(trained, "--code", str(code))
        assert (found["code"], found["return_mean"]) == (code, pytest.approx(mean, rel=1e-6))


def test_the_policy_opens_in_plain_sb3_and_acts_under_a_code_on_the_task_itself(trained: Path) -> None:
    model = PPO.load(trained / "policy.zip", device="cpu")
    task = make_vec("PointWorld-v0", 4, backend="gymnasium")
    under = [
        evaluate(model, LatentCode(task, 3, 1), 8, seed=5, label=None),
        evaluate(UnderCode(model, 3, 1), task, 8, seed=5, label=None),
    ]
    task.close()
    np.testing.assert_array_equal(under[0].returns, under[1].returns)


def test_the_codes_are_filmed_one_by_one(rlgen_train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def record(policy: UnderCode, env_id: str, path: Path, **_: Any) -> Video:
        path.write_bytes(str(policy.code).encode())
        return Video(path, "")

    monkeypatch.setattr(finish, "record_video", record)
    assert rlgen_train("infogail", "--steps", "64", "--video") == 0
    assert [(tmp_path / "run" / f"video_code_{code}.mp4").read_text() for code in range(2)] == ["0", "1"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "under code 0 on" in page
    assert "under code 1 on" in page


@pytest.mark.parametrize("options", [["--codes", "1"], ["--codes", "-2"], ["--gail.information", "-1"]], ids=" ".join)
def test_settings_that_cannot_work_leave_no_folder_behind(options: list[str], rlgen_train, tmp_path: Path) -> None:
    assert rlgen_train("infogail", *options) == 2
    assert not (tmp_path / "run").exists()


def test_a_code_that_the_policy_does_not_have_is_refused(trained: Path, capsys) -> None:
    for code in ("3", "-1"):
        assert cli.main(["evaluate", str(trained), "--code", code]) == 2
        assert f"expected a --code from 0 to 2; got {code}" in capsys.readouterr().err


def test_a_code_of_a_policy_without_any_is_refused(rlgen_train, tmp_path: Path, capsys) -> None:
    assert rlgen_train("gail", "--steps", "64") == 0
    assert Result.read(tmp_path / "run").returns.parts == {}
    assert cli.main(["evaluate", str(tmp_path / "run"), "--code", "0"]) == 2
    assert "only with a run of `rlgen train infogail`" in capsys.readouterr().err


def test_the_help_says_what_codes_are_and_how_to_ask_for_one(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "infogail", "--help-all"])
    shown = " ".join(capsys.readouterr().out.split())
    for piece in ("--codes", "--gail.information", "--gail.posterior.hidden", "rlgen evaluate RUN --code 1"):
        assert piece in shown


def test_discrete_actions_are_evaluated_under_a_code(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = {"observations": random.normal(size=(9, 4)), "actions": random.integers(0, 2, 8)}
    Demonstrations.from_episodes([Episode(**rows)] * 2, env_id="CartPole-v1").save(tmp_path / "demos.npz")
    options = TRAINING.replace("PointWorld-v0", "CartPole-v1").replace("--codes 3", "--codes 2").split()
    run = tmp_path / "run"
    command = ["train", "infogail", *options, "--demos", str(tmp_path / "demos.npz"), "--out", str(run)]
    assert cli.main([*command, "--steps", "64"]) == 0
    result = Result.read(run)
    assert result.returns is not None
    assert list(result.returns.parts) == ["code 0", "code 1"]
    mean, _ = result.returns.parts["code 1"]
    assert evaluated(run, "--code", "1")["return_mean"] == pytest.approx(mean, rel=1e-6)
