"""A run that was killed, or stopped, and resumed is the run that was never disturbed: bit for bit."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlgen.agents import cli
from rlgen.agents.commands import policy_training
from rlgen.data import Demonstrations, Episode
from rlgen.runs import Metrics, load_checkpoint, read_metrics
from rlgen.runs.checkpoint import list_checkpoints
from rlgen.runs.metrics import same_metrics

SMALL_PPO = "--learner.batch-size 32 --learner.n-epochs 2 --learner.hidden 8 --learner.target-kl 0.001"


@dataclass(frozen=True)
class Case:
    """A training to disturb: seven rounds with checkpoints after three and six, evaluations after four and the last.
    Everything that carries state is switched on."""

    agent: str
    round: int
    """Environment steps."""
    options: str
    parts: tuple[str, ...]
    """Of the agent's state, without the clock."""

    def command(self, demos: Path, out: Path) -> list[str]:
        shared = "--threads 1 --n-envs 2 --device cpu --seed 3 --no-video"
        steps = f"--steps {7 * self.round} --checkpoint-every {3 * self.round} --evaluate-every {4 * self.round}"
        imitates = ["--demos", str(demos)] if self.agent != "vime" else []
        options = f"{shared} {steps} {self.options}".split()
        return ["train", self.agent, *options, *imitates, "--out", str(out)]


CASES = {
    # Ant falls early under a random policy, so episodes end within the run.
    "gail": Case(
        "gail",
        64,
        f"""--env Ant-v5 --backend threads --learner.n-steps 32 {SMALL_PPO}
        --learner.initial-std 1 --learner.schedule adaptive --learner.learning-rate 5e-5
        --gail.average 0.5 --gail.penalties.spectral-norm --gail.bc.max-updates 40 --gail.bc.check-every 20
        --gail.discriminator.hidden 8 --gail.discriminator.batch-size 32 --gail.discriminator.updates-per-rollout 2
        --gail.discriminator.normalizer running --gail.discriminator.final-rate 0.1""",
        ("source", "average", "scale"),
    ),
    "DAC": Case(
        "gail",
        64,
        """--env Hopper-v5 --learner.algorithm sac --learner.learning-starts 80 --learner.batch-size 8
        --learner.hidden 8 --learner.buffer-size 300
        --gail.bc.max-updates 40 --gail.bc.check-every 20 --gail.critics-first 100 --gail.expert-share 0.25
        --gail.penalties.hidden-dropout 0.5 --gail.penalties.input-dropout 0.2 --gail.discriminator.mixup
        --gail.discriminator.hidden 8 --gail.discriminator.batch-size 8 --gail.discriminator.update-every 6
        --gail.discriminator.final-rate 0.1""",
        ("source", "draws"),
    ),
    "infogail": Case(
        "infogail",
        64,
        f"""--env Ant-v5 --backend threads --codes 3 --learner.n-steps 32 {SMALL_PPO}
        --learner.initial-std 1 --learner.schedule adaptive --learner.learning-rate 5e-5 --gail.average 0.5
        --gail.discriminator.hidden 8 --gail.discriminator.batch-size 32 --gail.discriminator.updates-per-rollout 2
        --gail.posterior.hidden 8 --gail.posterior.batch-size 32""",
        ("source", "posterior", "average", "scale"),
    ),
    "vime": Case(
        "vime",
        256,
        f"""--env rlgen/SparseMountainCar-v0 --learner.n-steps 128 {SMALL_PPO} --learner.schedule adaptive
        --eta 0.1 --final-eta 0.1 --vime.hidden 8 --vime.updates-per-rollout 3 --vime.batch-size 16
        --vime.pool-size 600""",
        ("curiosities", "coverage", "scale"),
    ),
    "sac": Case(
        "vime",
        64,
        """--env Hopper-v5 --learner.algorithm sac --learner.learning-starts 80 --learner.batch-size 8
        --learner.hidden 8 --learner.buffer-size 300
        --update-every 100 --eta 0.1 --final-eta 0.1 --vime.hidden 8 --vime.updates-per-rollout 3
        --vime.batch-size 16""",
        ("curiosities", "coverage"),
    ),
}

# The command line in a process of its own, which kills itself when it is about to write a row after step argv[1].
KILLED = """
import os, signal, sys
from rlgen.agents import cli
from rlgen.agents.commands import policy_training
from rlgen.runs import Metrics
policy_training.CURVE_EPISODES = 1
write = Metrics.write
def die(metrics, step, values):
    if step > int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    write(metrics, step, values)
Metrics.write = die
sys.exit(cli.main(sys.argv[2:]))
"""


@dataclass
class Run:
    """A run folder and the weights its training ended with."""

    path: Path
    weights: dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def demos(case: "Case", tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    env_id, observed, acted = ("Hopper-v5", 11, 3) if "Hopper" in case.options else ("Ant-v5", 105, 8)
    episode = Episode(observations=random.normal(size=(65, observed)), actions=random.uniform(-1, 1, (64, acted)))
    path = tmp_path_factory.mktemp("demos") / "demos.npz"
    Demonstrations.from_episodes([episode], env_id=env_id).save(path)
    return path


def finish_run(command: list[str]) -> Run:
    """Run a command of the line in this process to its end, without the final evaluation and drawing."""
    ended: list[tuple[Any, ...]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_training, "CURVE_EPISODES", 1)
        patch.setattr(policy_training, "finish", lambda *arguments: ended.append(arguments))
        patch.setattr(policy_training, "note_result", lambda *arguments: None)
        assert cli.main(command) == 0
    folder, _, model = ended[0][:3]
    return Run(folder.path, {name: value.clone() for name, value in model.policy.state_dict().items()})


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture(scope="module")
def undisturbed(case: Case, demos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finish_run(case.command(demos, tmp_path_factory.mktemp("undisturbed") / "run"))


def assert_same(resumed: Run, undisturbed: Run) -> None:
    assert read_metrics(resumed.path)["step"].tolist() == read_metrics(undisturbed.path)["step"].tolist()
    assert same_metrics(resumed.path, undisturbed.path)
    assert resumed.weights.keys() == undisturbed.weights.keys()
    for name, value in undisturbed.weights.items():
        assert torch.equal(resumed.weights[name], value), name


def test_the_run_to_be_disturbed_has_something_to_lose(case: Case, undisturbed: Run) -> None:
    rows = read_metrics(undisturbed.path)
    evaluated = np.isfinite(rows["evaluation/return_mean"])
    assert rows["step"][evaluated].tolist() == [4 * case.round, 7 * case.round]
    assert np.isfinite(rows["rollout/ep_rew_mean"]).sum() > 2, "episodes ended"
    assert load_checkpoint(undisturbed.path).step == 7 * case.round
    if "sac" in case.options:
        assert rows[f"{case.agent}/reward"][-2] != 0
        return
    assert rows["step"].tolist() == [case.round * number for number in (1, 2, 3, 4, 4, 5, 6, 7, 7)]
    assert len(set(rows["train/learning_rate"][~np.isnan(rows["train/learning_rate"])])) > 2, "the rate moved"


def test_a_run_killed_and_resumed_gives_the_same_numbers_bit_for_bit(
    case: Case, undisturbed: Run, demos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    last = 4 * case.round + case.round // 2
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(last), *case.command(demos, out)], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert load_checkpoint(out).step == 3 * case.round
    assert read_metrics(out)["step"].max() >= 4 * case.round, "rows after the checkpoint, to be forgotten"
    resumed = finish_run(["resume", str(out)])
    assert_same(resumed, undisturbed)
    (_, one), (_, two) = load_checkpoint(resumed.path), load_checkpoint(undisturbed.path)
    for part in case.parts:
        assert flat(one[case.agent][part]) == flat(two[case.agent][part])
    assert flat(one["env"]) == flat(two["env"])
    for generator in ("torch", "numpy"):  # nothing in a training draws from Python's own, but libraries do
        assert flat(one["rng"][generator]) == flat(two["rng"][generator])


def test_a_run_stopped_by_ctrl_c_and_resumed_gives_the_same_numbers_bit_for_bit(
    case: Case, undisturbed: Run, demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    write = Metrics.write
    pressed: list[int] = []

    def press(metrics: Metrics, step: int, values: Any) -> None:
        write(metrics, step, values)
        # An evaluation is due after this round, and no checkpoint.
        if 3 * case.round < step <= 4 * case.round and not pressed and "evaluation/return_mean" not in values:
            pressed.append(step)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(policy_training, "CURVE_EPISODES", 1)
    monkeypatch.setattr(Metrics, "write", press)
    assert cli.main(case.command(demos, out)) == 130
    monkeypatch.undo()
    assert load_checkpoint(out).step in range(pressed[0], pressed[0] + 3)
    assert_same(finish_run(["resume", str(out)]), undisturbed)


def test_a_run_killed_before_its_first_checkpoint_begins_anew(
    case: Case, undisturbed: Run, demos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    write = Metrics.write

    def cut(metrics: Metrics, step: int, values: Any) -> None:
        if step >= 2 * case.round:
            raise PowerCut
        write(metrics, step, values)

    out = tmp_path / "run"
    monkeypatch.setattr(Metrics, "write", cut)
    with pytest.raises(PowerCut):
        cli.main(case.command(demos, out))
    monkeypatch.undo()
    assert list_checkpoints(out) == []
    assert read_metrics(out)["step"].max() < 2 * case.round
    assert_same(finish_run(["resume", str(out)]), undisturbed)


def flat(tree: Any) -> Any:
    """Nested values with arrays as bytes, so that == means bit for bit."""
    if isinstance(tree, dict):
        return {key: flat(value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [flat(value) for value in tree]
    return np.asarray(tree).tobytes() if isinstance(tree, torch.Tensor | np.ndarray) else tree
