"""Trainings on the warp backend, through the command line, on real bodies."""

import json
from pathlib import Path

import numpy as np
import pytest
from stable_baselines3 import PPO

from rlgen.agents import DevicePPO, cli
from rlgen.runs import Result, RunFolder, load_checkpoint, read_metrics
from rlgen.runs.checkpoint import list_checkpoints

pytest.importorskip("warp")

SMALL = """--backend warp --device cpu --threads 1 --n-envs 8 --learner.n-steps 16 --learner.batch-size 64
--learner.n-epochs 1 --learner.hidden 8 --episodes 25 --no-video --evaluate-every 0"""
CHEETAH = "rlgen/SparseHalfCheetah-v0"


def train(agent: str, out: Path, *options: str) -> int:
    return cli.main(["train", agent, "--env", CHEETAH, *SMALL.split(), *options, "--out", str(out)])


GAIL = ("--gail.bc.max-updates", "20", "--gail.bc.check-every", "10", "--gail.discriminator.hidden", "8")


def test_gail_learns_on_the_device_and_goes_on_bit_for_bit(no_finish, cheetah_demos: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    options = ("--demos", str(cheetah_demos), *GAIL, "--checkpoint-every", "256")
    assert train("gail", whole, *options, "--steps", "512") == 0
    assert train("gail", parts, *options, "--steps", "256") == 0
    assert isinstance(no_finish[0][2], DevicePPO)
    rows = read_metrics(whole)
    assert {"gail/loss", "gail/reward", "train/approx_kl", "train/explained_variance"} <= set(rows)
    config = json.loads((parts / "config.json").read_text())
    (parts / "config.json").write_text(json.dumps(config | {"steps": 512.0}))
    assert cli.main(["resume", str(parts)]) == 0
    (step, one), (other_step, other) = load_checkpoint_of(whole), load_checkpoint_of(parts)
    assert step == other_step == 512
    for name, value in one["gail"]["model"]["policy"].items():
        np.testing.assert_array_equal(value, other["gail"]["model"]["policy"][name])


def load_checkpoint_of(run: Path) -> tuple[int, dict]:
    folder = RunFolder.open(run)
    assert list_checkpoints(folder)
    return load_checkpoint(folder)


def test_vime_learns_on_the_device_and_counts_what_it_saw(tmp_path: Path) -> None:
    run = tmp_path / "run"
    vime = ("--vime.hidden", "8", "--vime.updates-per-rollout", "2", "--vime.batch-size", "16", "--learner.normalize")
    assert train("vime", run, *vime, "--steps", "256") == 0
    rows = read_metrics(run)
    assert {"vime/loss", "vime/reward", "coverage/cells", "train/approx_kl"} <= set(rows)
    result = Result.read(run)
    assert (result.returns.backend, result.env_steps) == ("warp", 256)
    assert result.metrics["cells_visited"] > 10
    PPO.load(run / "policy.zip", device="cpu")
    assert cli.main(["evaluate", str(run), "--episodes", "2", "--n-envs", "2", "--out", str(tmp_path / "e.json")]) == 0
    assert json.loads((tmp_path / "e.json").read_text())["backend"] == "threads"
    assert "Trained on MuJoCo Warp, played here on C MuJoCo" in (run / "report.html").read_text()


def test_other_algorithms_learn_on_it_through_stable_baselines3(no_finish, tmp_path: Path) -> None:
    assert train("vime", tmp_path / "run", "--curiosity", "none", "--learner.algorithm", "trpo", "--steps", "128") == 0
    model = no_finish[0][2]
    assert not isinstance(model, DevicePPO)
    assert model.get_env().backend == "warp"
