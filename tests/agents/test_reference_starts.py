"""`--reference-starts`: a share of the training's episodes start in demonstrated states, which the result says."""

from pathlib import Path

import numpy as np
import pytest

from rlgen.agents import cli
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.runs import RunFolder
from rlgen.runs.evaluation import RandomPolicy

from .interruptions import assert_resumes

RUN = (
    "--env Hopper-v5 --n-envs 2 --device cpu --threads 1 --no-video --episodes 2 --steps 256 --checkpoint-every 128 "
    "--evaluate-every 0 --learner.n-steps 32 --learner.batch-size 32 --learner.n-epochs 1 --learner.hidden 8 "
    "--gail.no-warm-start --gail.discriminator.hidden 8 --gail.discriminator.batch-size 16 --reference-starts 0.75"
)


@pytest.fixture
def hopper(tmp_path: Path) -> Path:
    env = make_vec("Hopper-v5", 2, seed=5)
    Demonstrations.record(RandomPolicy(env.action_space), env, 4).save(tmp_path / "demos.npz")
    return tmp_path / "demos.npz"


def test_a_run_resumes_and_its_result_says_so(hopper: Path, tmp_path: Path, no_finish: list[tuple]) -> None:
    whole = assert_resumes(["train", "gail", *RUN.split(), "--demos", str(hopper)], 192, tmp_path, no_finish)
    folder, task, model, _, achieved = no_finish[-1]
    assert achieved.metrics["reference_starts"] == 0.75
    assert model.get_env().sim.references.share == 0.75
    assert task.make_evaluation_env(1, 0).sim.references is None, "evaluations start as the task does"
    assert RunFolder.open(whole).config["reference_starts"] == 0.75
    assert np.isclose(folder.config["reference_starts"], 0.75)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("gail --env CartPole-v1 --reference-starts 0.5", "steps itself"),
        ("bc --env Hopper-v5 --reference-starts 0.5", "an agent that acts"),
        ("gail --env Hopper-v5 --reference-starts 2", "between 0 and 1"),
    ],
)
def test_where_it_means_nothing_it_is_refused(
    options: str, text: str, hopper: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", *options.split(), "--demos", str(hopper), "--device", "cpu", "--out", str(tmp_path / "run")]
    assert cli.main(command) == 2
    assert text in " ".join(capsys.readouterr().err.split())
