"""Several processes as one training: torchrun with the command line."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rlgen import distributed
from rlgen.agents import cli
from rlgen.agents.commands.runner import joined, share_of
from rlgen.agents.commands.train_bc import TrainBC
from rlgen.agents.commands.train_rl import TrainRL
from rlgen.agents.learner import LearnerConfig
from rlgen.runs import Result, RunFolder, load_checkpoint, read_metrics
from rlgen.runs.checkpoint import OTHERS, list_checkpoints
from rlgen.runs.metrics import same_metrics

SHARED = """--env rlgen/SparseHalfCheetah-v0 --backend warp --device cpu --threads 1 --n-envs 8
--learner.n-steps 16 --learner.batch-size 64 --learner.n-epochs 1 --learner.hidden 8 --episodes 4 --no-video
--checkpoint-every 128"""
GAIL = """--gail.bc.max-updates 20 --gail.bc.check-every 10 --gail.discriminator.hidden 8 --evaluate-every 256"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "rlgen.agents.cli"]


def in_two_processes(*arguments: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("warp")
    return subprocess.run([*TORCHRUN, *arguments], capture_output=True, text=True, timeout=240, check=False)


def test_two_processes_train_resume_and_write_one_run(
    cheetah_demos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    chosen = (*SHARED.split(), *GAIL.split(), "--demos", str(cheetah_demos), "--steps", "384", "--out", str(run))
    done = in_two_processes("train", "gail", *chosen)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("stepped by warp") == 1, "more than one process reports"
    folder = RunFolder.open(run)
    assert folder.config["n_envs"] == 8
    assert Result.read(run).env_steps == 384
    assert np.isfinite(read_metrics(run)["evaluation/return_mean"]).sum() == 2
    step, one = load_checkpoint(folder)
    assert step == 384
    policy = one["gail"]["model"]["policy"]
    (second,) = one[OTHERS]
    for name, value in second["gail"]["model"]["policy"].items():
        assert torch.equal(policy[name], value)
    for name, value in second["gail"]["source"]["network"].items():
        assert torch.equal(one["gail"]["source"]["network"][name], value)
    assert torch.equal(one["rng"]["torch"], second["rng"]["torch"])
    assert not np.array_equal(one["env"]["sim"]["arrays"]["qpos"], second["env"]["sim"]["arrays"]["qpos"])

    # As if it had been killed before its last checkpoint.
    shutil.copy(run / "metrics.csv", tmp_path)
    folder.begin()
    shutil.rmtree(run / "checkpoints" / f"{step:012d}")
    assert cli.main(["resume", str(run)]) == 2
    assert "expected 2 processes, as many as saved the checkpoint; got 1" in capsys.readouterr().err
    resumed = in_two_processes("resume", str(run))
    assert resumed.returncode == 0, resumed.stderr
    step, other = load_checkpoint(folder)
    assert step == 384
    for name, value in other["gail"]["model"]["policy"].items():
        assert torch.equal(policy[name], value)
    assert same_metrics(run, tmp_path)


def test_a_stop_asked_of_one_process_saves_what_both_have_done(tmp_path: Path) -> None:
    pytest.importorskip("warp")
    run = tmp_path / "run"
    chosen = (*SHARED.split(), "--evaluate-every", "0", "--steps", "1e9", "--out", str(run))
    shown = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    with subprocess.Popen([*TORCHRUN, "train", "rl", *chosen], stderr=subprocess.PIPE, text=True, env=shown) as started:
        until = time.monotonic() + 120
        while not list_checkpoints(run) and time.monotonic() < until and started.poll() is None:
            time.sleep(0.1)
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGINT)
        try:
            _, errors = started.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            for child in children:
                os.kill(int(child), signal.SIGABRT)  # to see where it hangs
            _, errors = started.communicate()
            pytest.fail(errors)
    assert errors.count("stopping after this round") == 1
    assert "stopped and saved at step" in errors
    step, state = load_checkpoint(RunFolder.open(run))
    assert step == state["vime"]["model"]["num_timesteps"]
    assert len(state[OTHERS]) == 1


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 2)


def ppo(**settings: object) -> TrainRL:
    return TrainRL(env="Ant-v5", out=Path("run"), **settings)  # type: ignore[arg-type]


def test_each_process_has_a_share_of_worlds_and_rows(two: None) -> None:
    own = share_of(ppo(backend="warp", n_envs=64, learner=LearnerConfig(batch_size=2048)))
    assert (own.n_envs, own.learner.batch_size) == (32, 1024)


def test_one_process_has_all() -> None:
    config = ppo()
    assert share_of(config) is config


def test_what_several_processes_cannot_share_is_refused(two: None) -> None:
    with pytest.raises(ValueError, match="2 of `train rl` on the backend auto"):
        share_of(ppo())
    with pytest.raises(ValueError, match="--n-envs that 2 processes can share; got 7; give a multiple of 2"):
        share_of(ppo(backend="warp", n_envs=7))
    with pytest.raises(ValueError, match=r"--learner[.]batch-size that 2 processes can share"):
        share_of(ppo(backend="warp", learner=LearnerConfig(batch_size=7)))
    with pytest.raises(ValueError, match="2 of `train bc`"):
        share_of(TrainBC(env="Ant-v5", out=Path("run"), demos=Path("demos"), backend="warp"))


def test_one_device_for_all_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_torchelastic_launched", lambda: True)
    with pytest.raises(ValueError, match="each process takes its own GPU"), joined("cuda:1"):
        pass
