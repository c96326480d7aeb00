"""`rlgen train noise`: a policy that acts, is mapped and never learns."""

import numpy as np
import pytest
from stable_baselines3 import PPO

from rlgen.agents import cli
from rlgen.runs import read_metrics

SMALL = """--env rlgen/SparseMountainCar-v0 --env-kwargs max_episode_steps=50 --n-envs 2
--device cpu --threads 1 --no-video --episodes 2 --seed 1"""


def test_a_run_explores_by_its_untrained_policy_and_goes_on_bit_for_bit(tmp_path) -> None:
    def run(out: str, steps: int) -> None:
        assert cli.main(["train", "noise", *SMALL.split(), "--steps", str(steps), "--out", str(tmp_path / out)]) == 0

    run("short", 1250)
    run("long", 2500)
    short, long = (PPO.load(tmp_path / out / "policy.zip", device="cpu") for out in ("short", "long"))
    for name, value in short.policy.state_dict().items():
        assert np.array_equal(value, long.policy.state_dict()[name]), name
    assert float(short.policy.log_std.detach().exp()) == pytest.approx(1.0), "half the range of an action within ±1"
    assert cli.main(["resume", str(tmp_path / "short"), "--steps", "2500"]) == 0
    cells = [read_metrics(tmp_path / out)["coverage/cells"][-2:] for out in ("short", "long")]
    assert np.array_equal(*cells, equal_nan=True)
    visits = [np.load(tmp_path / out / "visits.npz") for out in ("short", "long")]
    for name in visits[0]:
        assert np.array_equal(visits[0][name], visits[1][name]), name


def test_noise_of_no_size_is_refused(tmp_path, capsys) -> None:
    assert cli.main(["train", "noise", *SMALL.split(), "--std", "0", "--out", str(tmp_path / "run")]) == 2
    assert "expected a positive std" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
