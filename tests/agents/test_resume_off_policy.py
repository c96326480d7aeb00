"""Off-policy trainings from demonstrations that were stopped and resumed end with the same weights, bit for bit."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlgen.agents import cli
from rlgen.data import Demonstrations, Episode
from rlgen.runs import Metrics

from .test_resume import finish_run

COMMON = (
    "--env Hopper-v5 --threads 1 --n-envs 2 --device cpu --seed 3 --no-video --steps 160 --checkpoint-every 1000 "
    "--evaluate-every 1000 --learner.learning-starts 40 --learner.batch-size 8 --learner.hidden 8 "
    "--learner.buffer-size 100"
)
TRAININGS = {
    "gail": "--learner.algorithm sac --gail.critics-first 40 --gail.bc.max-updates 100 --gail.discriminator.hidden 8",
    "lsiq": "--lsiq.expert-target bootstrap",
    "sqil": "--sqil.share 0.25",
    "csil": "--csil.no-warm-start --csil.critic-updates 50 --csil.reward.hidden 8 --csil.reward.features 8 "
    "--csil.reward.max-updates 100 --csil.reward.batch-size 16 --csil.reward.update-every 6 --csil.reward.refine",
}


@pytest.fixture
def hopper_demos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    episode = Episode(observations=random.normal(size=(65, 11)), actions=random.uniform(-1, 1, (64, 3)))
    Demonstrations.from_episodes([episode], env_id="Hopper-v5").save(tmp_path / "demos.npz")
    return tmp_path / "demos.npz"


@pytest.mark.parametrize("agent", TRAININGS)
def test_a_run_that_was_stopped_and_resumed_ends_with_the_same_weights(
    agent: str, hopper_demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", agent, *COMMON.split(), *TRAININGS[agent].split(), "--demos", str(hopper_demos), "--out"]
    undisturbed = finish_run([*command, str(tmp_path / "undisturbed")])
    write = Metrics.write
    pressed: list[int] = []

    def press(metrics: Metrics, step: int, values: Any) -> None:
        write(metrics, step, values)
        if step > 90 and not pressed:
            pressed.append(step)
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Metrics, "write", press)
        assert cli.main([*command, str(tmp_path / "stopped")]) == 130
    assert pressed[0] < 160
    resumed = finish_run(["resume", str(tmp_path / "stopped")])
    assert undisturbed.weights.keys() == resumed.weights.keys()
    for name, value in undisturbed.weights.items():
        assert torch.equal(resumed.weights[name], value), name
