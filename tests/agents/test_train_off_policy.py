"""`rlgen train gail`, `sqil`, `lsiq` and `csil` with off-policy learners."""

import json
from pathlib import Path

import numpy as np
import pytest

from rlgen.agents import cli
from rlgen.runs import Result, read_metrics

SMALL = (
    "--env PointWorld-v0 --n-envs 4 --device cpu --threads 1 --no-video --episodes 4 --learner.hidden 8 "
    "--learner.batch-size 16 --learner.learning-starts 20"
)
GAIL = "--gail.discriminator.hidden 8 --gail.discriminator.batch-size 16 --gail.no-warm-start"

CSIL = (
    "--csil.no-warm-start --csil.critic-updates 50 --csil.reward.hidden 8 --csil.reward.features 8 "
    "--csil.reward.max-updates 100"
)


def train(agent: str, options: str, demos: Path, out: Path) -> int:
    return cli.main(["train", agent, *SMALL.split(), *options.split(), "--demos", str(demos), "--out", str(out)])


@pytest.mark.parametrize(
    ("agent", "options", "logged"),
    [
        ("gail", f"--learner.algorithm sac {GAIL}", "gail/reward"),
        ("gail", f"--learner.algorithm crossq --learner.critic-hidden 8 {GAIL}", "gail/expert_accuracy"),
        ("sqil", "--learner.algorithm td3", "train/critic_loss"),
        ("lsiq", "", "train/critic_loss"),
        ("csil", f"{CSIL} --learner.algorithm td3", "csil/policy_reward"),
    ],
    ids=["sac", "crossq", "sqil", "lsiq", "csil"],
)
def test_a_run_trains_ends_trains_on_and_its_policy_plays(
    agent: str, options: str, logged: str, demos: Path, tmp_path: Path
) -> None:
    if "crossq" in options:
        pytest.importorskip("sb3_contrib")
    run = tmp_path / "run"
    assert train(agent, f"{options} --steps 200", demos, run) == 0
    result = Result.read(run)
    assert result.steps == 200
    assert np.isfinite(read_metrics(run)[logged]).any()
    config = json.loads((run / "config.json").read_text())
    assert config["n_envs"] == 4
    assert config["learner"]["algorithm"] in options or config["learner"]["algorithm"] == "sac"
    assert cli.main(["resume", str(run), "--steps", "300"]) == 0
    assert Result.read(run).steps == 300
    assert cli.main(["evaluate", str(run), "--episodes", "4", "--n-envs", "4", "--out", str(tmp_path / "e.json")]) == 0
    again = json.loads((tmp_path / "e.json").read_text())
    assert again["return_mean"] == pytest.approx(Result.read(run).returns.return_mean)


def test_the_learner_decides_the_defaults(tmp_path: Path, demos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train("gail", "--learner.algorithm sac --gail.scale-reward --steps 8", demos, tmp_path / "run") == 2
    assert "scale_reward=False with an off-policy model" in " ".join(capsys.readouterr().err.split())
    assert train("infogail", "--learner.algorithm sac --steps 8", demos, tmp_path / "run") == 2
