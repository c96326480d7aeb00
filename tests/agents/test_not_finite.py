"""NaN and infinity end a training at once, and the error names the last checkpoint, which is from before them."""

import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import SAC

from rlgen.agents import Explorer, cli
from rlgen.envs import make_vec
from rlgen.errors import NotFinite
from rlgen.runs import load_checkpoint
from rlgen.runs.checkpoint import list_checkpoints
from rlgen.sb3 import finite

SAC_OPTIONS = (
    "--learner.algorithm sac --learner.learning-starts 20 --learner.batch-size 8 --learner.hidden 8 "
    "--curiosity none --n-envs 2"
)
PPO_OPTIONS = (
    "--learner.algorithm ppo --curiosity none --n-envs 2 "
    "--learner.n-steps 10 --learner.batch-size 20 --learner.hidden 8"
)
FAULTS: dict[str, tuple[float, float]] = {
    "a NaN observation": (math.nan, 0.0),
    "an infinite observation": (math.inf, 0.0),
    "a NaN reward": (0.0, math.nan),
    "an infinite reward": (0.0, -math.inf),
    "a reward beyond float32": (0.0, 1e300),
}


class Faulty(gym.Env):
    """A point that stays, until after `begins` steps one number is wrong."""

    def __init__(self, seen: float, reward: float, begins: int) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.seen, self.reward, self.begins, self.steps = seen, reward, begins, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.steps += 1
        wrong = self.steps >= self.begins
        seen = np.array([self.seen if wrong else 0.0, 0.0], np.float32)
        return seen, self.reward if wrong else float(action[0]), False, False, {}


@pytest.fixture
def train(tmp_path: Path, request: pytest.FixtureRequest):
    """`train(options, seen, reward, begins)`: the exit code of 200 steps with a checkpoint every 40."""

    def run(options: str, seen: float, reward: float, begins: int = 40) -> int:
        name = f"Faulty{abs(hash((request.node.name, begins)))}-v0"
        gym.register(name, lambda: Faulty(seen, reward, begins), max_episode_steps=10)
        fixed = f"--env {name} --steps 200 --checkpoint-every 40 --evaluate-every 0 --device cpu --no-video"
        return cli.main(["train", "vime", *f"{fixed} {options}".split(), "--out", str(tmp_path / "run")])

    return run


def finite_tensors(tree: Any) -> bool:
    if isinstance(tree, dict):
        return all(map(finite_tensors, tree.values()))
    if isinstance(tree, list):
        return all(map(finite_tensors, tree))
    return not isinstance(tree, torch.Tensor) or not tree.is_floating_point() or bool(tree.isfinite().all())


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # Stable-Baselines3's, of 1e300
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("options", [SAC_OPTIONS, PPO_OPTIONS], ids=["sac", "ppo"])
def test_a_number_that_is_not_finite_stops_the_training_and_names_the_checkpoint(
    train, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, options: str
) -> None:
    assert train(options, *FAULTS[fault]) == 2
    error = " ".join(capsys.readouterr().err.split())
    newest = list_checkpoints(tmp_path / "run")[0]
    assert "error: expected finite numbers for" in error
    assert "got NaN or infinity; look for" in error
    assert f"the last good checkpoint is {newest}" in error
    step, state = load_checkpoint(tmp_path / "run")
    assert 40 <= step <= 80
    assert finite_tensors(state["vime"]["model"])


def test_without_a_checkpoint_none_is_promised(train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(SAC_OPTIONS, math.nan, 0.0, begins=5) == 2
    assert "there is no earlier checkpoint" in " ".join(capsys.readouterr().err.split())
    assert list_checkpoints(tmp_path / "run") == []


def test_rewards_whose_squares_are_infinite_stop_an_off_policy_training_at_its_first_loss(
    train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(SAC_OPTIONS, 0.0, 1e30) == 2
    assert "finite numbers for train/critic_loss at environment step" in " ".join(capsys.readouterr().err.split())
    assert finite_tensors(load_checkpoint(tmp_path / "run").state["vime"]["model"])


def small_sac() -> SAC:
    settings: dict[str, Any] = {"learning_starts": 4, "batch_size": 4, "policy_kwargs": {"net_arch": [4]}}
    return SAC("MlpPolicy", make_vec("Pendulum-v1", 1), device="cpu", seed=0, **settings)


def test_moments_that_are_not_finite_are_found_between_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam then takes steps of size 0, and no loss shows it."""
    monkeypatch.setattr(finite, "ROUNDS_PER_LOOK", 1)
    model = small_sac()
    Explorer(model).learn(8)
    next(iter(model.critic.optimizer.state.values()))["exp_avg_sq"].fill_(torch.inf)
    with pytest.raises(NotFinite, match=r"critic.optimizer/state/0/exp_avg_sq at environment step 8"):
        Explorer(model).learn(16)


def test_weights_that_are_not_finite_are_the_error_and_not_what_torch_makes_of_them() -> None:
    model = small_sac()
    with torch.no_grad():
        model.actor.mu.weight.fill_(torch.nan)
    with pytest.raises(NotFinite, match="policy/actor"), finite.finite_weights(model):
        model.learn(16)


def test_other_errors_pass_as_they_are() -> None:
    with pytest.raises(ValueError, match="of the user's"), finite.finite_weights(small_sac()):
        raise ValueError("of the user's")
