"""Stopping a training and going on with it."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from rlgen.agents import cli, session
from rlgen.agents.commands.policy_training import PolicyTraining
from rlgen.data import Demonstrations
from rlgen.runs import Metrics, RunFolder, load_checkpoint, read_metrics
from rlgen.runs.metrics import same_metrics

ROUND = 64  # 4 environments, 16 steps


def test_ctrl_c_saves_says_how_to_go_on_and_exits_with_130(
    rlgen_train, no_finish, tmp_path: Path, capsys, stop_after
) -> None:
    with stop_after(2 * ROUND):
        assert rlgen_train("gail", "--steps", "320", "--evaluate-every", "0") == 130
    run = tmp_path / "run"
    assert f"rlgen resume {run}" in capsys.readouterr().err
    assert load_checkpoint(run).step == 2 * ROUND
    assert not no_finish
    assert cli.main(["resume", str(run)]) == 0
    assert no_finish[0][2].num_timesteps == 5 * ROUND
    assert len(RunFolder.open(run).versions["sittings"]) == 1
    assert read_metrics(run)["step"].tolist() == [64, 128, 192, 256, 320]


def test_ctrl_c_in_the_last_round_goes_on_to_no_evaluation(
    rlgen_train, no_finish, tmp_path: Path, stop_after, capsys
) -> None:
    with stop_after(4 * ROUND):
        assert rlgen_train("gail", "--steps", "256", "--evaluate-every", "0") == 130
    run = tmp_path / "run"
    assert f"rlgen resume {run}" in capsys.readouterr().err
    assert load_checkpoint(run).step == 4 * ROUND
    assert not no_finish
    assert cli.main(["resume", str(run)]) == 0
    assert len(no_finish) == 1


def test_ctrl_c_while_cloning_says_how_to_go_on(rlgen_train, no_finish, tmp_path: Path, stop_after, capsys) -> None:
    with stop_after(25):
        assert rlgen_train("bc") == 130
    run = tmp_path / "run"
    assert f"rlgen resume {run}" in capsys.readouterr().err
    assert not no_finish
    assert cli.main(["resume", str(run)]) == 0
    assert read_metrics(run)["step"].tolist() == [25, 50]
    assert len(no_finish) == 1


@pytest.mark.parametrize(
    ("command", "said"),
    [("bc", "stopped without saving"), ("gail --steps 64 --evaluate-every 0", "the training is saved")],
)
def test_ctrl_c_in_the_final_evaluation_says_how_to_go_on(
    rlgen_train, tmp_path: Path, monkeypatch, capsys, command: str, said: str
) -> None:
    def interrupt(*arguments: Any, **settings: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rlgen.agents.commands.finish.evaluate", interrupt)
    assert rlgen_train(*command.split()) == 130
    shown = capsys.readouterr().err
    assert said in shown
    assert f"rlgen resume {tmp_path / 'run'}" in shown


@pytest.mark.skipif(os.name != "posix", reason="signals between processes")
@pytest.mark.parametrize("at", [2 * ROUND, 4 * ROUND])
def test_a_signal_in_an_evaluation_ends_it_at_once_and_the_run_goes_on_with_it(
    rlgen_train, no_finish, tmp_path: Path, monkeypatch, capsys, at: int
) -> None:
    often = [
        "--env",
        "rlgen/SparseMountainCar-v0",
        "--steps",
        "256",
        "--threads",
        "1",
        "--checkpoint-every",
        "128",
        "--evaluate-every",
        "128",
    ]
    assert rlgen_train("rl", *often) == 0
    (tmp_path / "run").rename(tmp_path / "whole")
    evaluate, ended = PolicyTraining.evaluate, []

    def press(training: PolicyTraining) -> Any:
        found = evaluate(training)
        if training.step == at:
            os.kill(os.getpid(), signal.SIGTERM)
            ended.append("an evaluation that went on")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(PolicyTraining, "evaluate", press)
        assert rlgen_train("rl", *often) == 143
    run = tmp_path / "run"
    assert not ended
    assert load_checkpoint(run).step == at
    assert f"rlgen resume {run}" in capsys.readouterr().err
    assert cli.main(["resume", str(run)]) == 0
    assert same_metrics(run, tmp_path / "whole")


def test_a_kill_after_the_last_step_loses_no_step_and_repeats_no_row(
    rlgen_train, no_finish, tmp_path: Path, monkeypatch
) -> None:
    """The power fails as the last evaluation is written, and again in the last checkpoint, after it is written."""
    kept = ["--steps", "128", "--checkpoint-every", "1000", "--evaluate-every", "1000"]
    write, save = Metrics.write, session.save_checkpoint

    def cut(metrics: Metrics, step: int, values: Any) -> None:
        if any(name.startswith("evaluation/") for name in values):
            raise SystemExit
        write(metrics, step, values)

    def cut_last(*arguments: Any, final: bool = False) -> None:
        if final:
            raise SystemExit
        save(*arguments)

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", cut)
        with pytest.raises(SystemExit):
            rlgen_train("gail", *kept)
    assert load_checkpoint(run).step == 128
    with monkeypatch.context() as patch:
        patch.setattr(session, "save_checkpoint", cut_last)
        with pytest.raises(SystemExit):
            cli.main(["resume", str(run)])
    assert cli.main(["resume", str(run)]) == 0
    rows = read_metrics(run)
    assert rows["step"].tolist() == [64, 128, 128]
    assert (rows["evaluation/return_mean"] == rows["evaluation/return_mean"]).tolist() == [False, False, True]
    assert len(no_finish) == 1


def test_ctrl_c_in_the_warm_start_saves_it(rlgen_train, no_finish, tmp_path: Path, monkeypatch) -> None:
    from rlgen.agents import BC

    learn, cloned = BC.learn, []

    def press(bc: BC, report: Any) -> Any:
        result = learn(bc, report)
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


def test_resuming_a_finished_run_changes_nothing(rlgen_train, contents, tmp_path: Path, capsys) -> None:
    assert rlgen_train("bc") == 0
    before = contents()
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert contents() == before
    assert "finished already" in capsys.readouterr().err


def test_a_run_that_was_reported_before_its_end_still_trains_on(
    rlgen_train, no_finish, tmp_path: Path, stop_after
) -> None:
    run = tmp_path / "run"
    with stop_after(2 * ROUND):
        assert rlgen_train("gail", "--steps", "256", "--evaluate-every", "0") == 130
    assert cli.main(["report", str(run)]) == 0
    assert (run / "report.html").is_file()
    assert cli.main(["resume", str(run)]) == 0
    assert no_finish[0][2].num_timesteps == 4 * ROUND


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


@pytest.mark.skipif(os.name != "posix", reason="signals between processes")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
def test_a_schedulers_signal_saves_like_ctrl_c(
    rlgen_train, no_finish, tmp_path: Path, monkeypatch, capsys, signum: int, code: int
) -> None:
    write = Metrics.write

    def press(metrics: Metrics, step: int, values: Any) -> None:
        write(metrics, step, values)
        if step == 2 * ROUND:
            os.kill(os.getpid(), signum)

    monkeypatch.setattr(Metrics, "write", press)
    assert rlgen_train("vime", "--env", "Pendulum-v1", "--steps", "320", "--evaluate-every", "0") == code
    assert load_checkpoint(tmp_path / "run").step == 2 * ROUND
    assert f"rlgen resume {tmp_path / 'run'}" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="signals between processes")
def test_a_sigterm_ends_a_recording_quietly_and_leaves_no_half_file(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(Demonstrations, "load", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert cli.main(["demos", "convert", str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]) == 143
    assert "error: interrupted" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
