"""`rlgen train` on images, dictionaries and discrete actions, with on-policy learners and DQN."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3 import DQN

from rlgen.agents.cli import main
from rlgen.agents.off_policy import DQNConfig, SACConfig
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.runs import Result, read_metrics

from .tasks import Balancer, Walker

RUN = "--device cpu --threads 1 --no-video --episodes 2 --n-envs 2 --learner.hidden 8 --learner.batch-size 16"
PPO = "--learner.n-steps 16 --learner.n-epochs 1"
DISCRIMINATOR = "--gail.discriminator.hidden 8 --gail.discriminator.batch-size 16 --gail.discriminator.filters 2"
QUICK = "--gail.bc.max-updates 4 --gail.bc.check-every 2 --gail.bc.plain-below 0"
DQN_ = "--learner.algorithm dqn --learner.learning-starts 20"


@pytest.fixture
def shown(tmp_path: Path) -> Any:
    """`shown("GridImage")`: a file of demonstrations of this task."""

    def record(task: str) -> Path:
        expert: Any = Balancer() if "Cart" in task else Walker()
        Demonstrations.record(expert, make_vec(task, 2), 4).save(tmp_path / "demos.npz")
        return tmp_path / "demos.npz"

    return record


def train(agent: str, task: str, options: str, run: Path, demos: Path | None = None) -> int:
    given = [] if demos is None else ["--demos", str(demos)]
    return main(["train", agent, "--env", task, *given, "--out", str(run), *RUN.split(), *options.split()])


@pytest.mark.parametrize(
    ("agent", "kind", "options"),
    [
        ("gail", "GridDictionary", f"{PPO} {DISCRIMINATOR} {QUICK}"),
        ("gail", "GridImage", f"{DQN_} {DISCRIMINATOR}"),
        ("sqil", "GridDictionary", DQN_),
    ],
    ids=["PPO of dictionaries", "DQN of images", "DQN of dictionaries"],
)
def test_a_run_of_images_is_stopped_resumed_evaluated_and_published(
    agent: str, kind: str, options: str, shown: Any, tmp_path: Path, stop_after: Any
) -> None:
    task, run = f"test/{kind}-v0", tmp_path / "run"
    with stop_after(32 if PPO in options else 40):
        assert train(agent, task, f"{options} --steps 96", run, shown(task)) == 130
    assert main(["resume", str(run)]) == 0
    trained = Result.read(run)
    assert trained.steps == 96
    if agent == "gail":
        assert np.isfinite(read_metrics(run)["gail/reward"]).any()
    assert main(["publish", str(run), "--to", str(tmp_path / "published")]) == 0
    assert main(["evaluate", str(tmp_path / "published"), "--out", str(tmp_path / "again.json")]) == 0
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["return_mean"] == trained.returns.return_mean


@pytest.mark.parametrize(("task", "options"), [("GridImage", PPO), ("GridDictionary", DQN_)], ids=["PPO", "DQN"])
def test_tasks_of_images_are_learned_by_their_own_reward(task: str, options: str, tmp_path: Path) -> None:
    assert train("rl", f"test/{task}-v0", f"{options} --steps 64", tmp_path / "run") == 0
    assert Result.read(tmp_path / "run").steps == 64


def test_dqn_has_no_warm_start_by_default_and_the_log_says_so(
    shown: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], no_finish: list
) -> None:
    options = f"{DQN_} {DISCRIMINATOR} --steps 4"
    assert train("gail", "CartPole-v1", options, tmp_path / "run", shown("CartPole-v1")) == 0
    assert "no warm start by default: a DQN has no actor to clone" in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "config.json").read_text())["gail"]["warm_start"] is False
    assert train("gail", "CartPole-v1", f"{options} --gail.warm-start", tmp_path / "warm", tmp_path / "demos.npz") == 2
    assert "one with an actor" in " ".join(capsys.readouterr().err.split())


def test_dqn_updates_as_often_as_asked_and_takes_discrete_actions_only() -> None:
    for n_envs, schedule in ((1, (4, 1)), (4, (1, 1)), (8, (1, 2))):
        model = DQNConfig().make(make_vec("CartPole-v1", n_envs), 100, 0)
        assert isinstance(model, DQN)
        assert (model.train_freq.frequency, model.gradient_steps) == schedule
    with pytest.raises(InputError, match="a Discrete space for DQN"):
        DQNConfig().make(make_vec("Pendulum-v1", 1), 100, 0)
    with pytest.raises(InputError, match=r"continuous actions \(Box\) for SAC; got .*ppo, which takes all, .*dqn"):
        SACConfig().make(make_vec("CartPole-v1", 1), 100, 0)


def test_dqns_defaults_are_those_of_stable_baselines3() -> None:
    env = make_vec("CartPole-v1", 1)
    ours, theirs = DQNConfig().make(env, 1_000_000, 0), DQN("MlpPolicy", env)
    names = ("learning_starts", "batch_size", "tau", "gamma", "train_freq", "gradient_steps", "target_update_interval")
    names += (
        "exploration_fraction",
        "exploration_initial_eps",
        "exploration_final_eps",
        "max_grad_norm",
        "buffer_size",
    )
    assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
    assert ours.lr_schedule(1.0) == theirs.lr_schedule(1.0)
    assert str(ours.q_net) == str(theirs.q_net)
