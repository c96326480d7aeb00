"""The learner behind an agent: settings reach Stable-Baselines3."""

import math
import sys

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env

from rlgen.agents import LearnerConfig
from rlgen.agents.learner import initial_log_std, learning_rate, make_model
from rlgen.errors import InputError
from rlgen.sb3.adaptive_rate import KLAdaptiveLR
from rlgen.sb3.features import NormalisedObservations

SMALL = {"n_steps": 8, "batch_size": 16, "hidden": (8, 4)}


def test_every_setting_of_ppo_reaches_it(point_env) -> None:
    config = LearnerConfig(
        n_steps=8, batch_size=16, n_epochs=3, learning_rate=1e-3, gamma=0.9, gae_lambda=0.8, clip_range=0.3,
        target_kl=0.05, entropy_weight=0.01, hidden=(8, 4), initial_std=0.5, schedule="constant",
    )  # fmt: skip
    model = make_model(config, point_env(2), seed=5)
    assert isinstance(model, PPO)
    assert (model.n_steps, model.batch_size, model.n_epochs, model.gamma, model.gae_lambda) == (8, 16, 3, 0.9, 0.8)
    assert (model.clip_range(1.0), model.target_kl, model.ent_coef, model.lr_schedule(0.3)) == (0.3, 0.05, 0.01, 1e-3)
    assert model.policy.log_std.tolist() == pytest.approx([math.log(0.5 * 0.4)] * 2)
    assert model.policy.mlp_extractor.policy_net[2].weight.shape == (4, 8)
    assert isinstance(model.policy.features_extractor, NormalisedObservations)
    assert model.seed == 5


def test_a2c_and_trpo_are_made_too(point_env) -> None:
    assert isinstance(make_model(LearnerConfig(algorithm="a2c", **SMALL), point_env(2), seed=0), A2C)
    contrib = pytest.importorskip("sb3_contrib")
    model = make_model(LearnerConfig(algorithm="trpo", target_kl=0.02, **SMALL), point_env(2), seed=0)
    assert isinstance(model, contrib.TRPO)
    assert model.target_kl == 0.02


@pytest.mark.parametrize("algorithm", ["ppo", "trpo"])
@pytest.mark.parametrize(
    ("batch_size", "used", "said"), [(64, 24, ""), (16, 16, "has 8 rows, the others 16"), (8, 8, "")]
)
def test_a_minibatch_is_no_larger_than_a_rollout_and_what_remains_is_logged(
    point_env, caplog: pytest.LogCaptureFixture, algorithm: str, batch_size: int, used: int, said: str
) -> None:
    pytest.importorskip("sb3_contrib")
    config = LearnerConfig(algorithm=algorithm, n_steps=8, batch_size=batch_size, hidden=(8,))
    with caplog.at_level("INFO", "rlgen"):
        assert make_model(config, point_env(3), seed=0).batch_size == used
    assert ("last minibatch" in caplog.text) == bool(said)
    assert said in caplog.text


def test_trpo_without_its_package_says_what_to_install(point_env, monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "rlgen.sb3.fast_trpo", raising=False)
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(InputError, match=r"rlgen\[contrib\]"):
        make_model(LearnerConfig(algorithm="trpo", **SMALL), point_env(2), seed=0)


def test_a_linear_rate_is_half_in_the_middle_and_never_zero_or_below(point_env) -> None:
    model = make_model(LearnerConfig(schedule="linear", learning_rate=1e-3, **SMALL), point_env(2), seed=0)
    assert model.lr_schedule(1.0) == 1e-3
    assert model.lr_schedule(0.5) == pytest.approx(0.5e-3, rel=0.02)
    assert model.lr_schedule(0.0) > 0
    assert model.lr_schedule(-0.1) > 0, "a last rollout overshoots the number of steps"


def test_the_adaptive_rate_replaces_ppos_early_stop(point_env) -> None:
    model = make_model(LearnerConfig(schedule="adaptive", target_kl=0.02, **SMALL), point_env(2), seed=0)
    assert isinstance(model.learning_rate, KLAdaptiveLR)
    assert model.learning_rate.target_kl == 0.02
    assert model.target_kl is None


def test_without_ppo_the_adaptive_rate_is_constant(point_env) -> None:
    model = make_model(LearnerConfig(algorithm="a2c", learning_rate=1e-3, **SMALL), point_env(2), seed=0)
    assert model.lr_schedule(1.0) == model.lr_schedule(0.1) == 1e-3


def test_the_noise_at_the_start_is_a_share_of_each_actions_own_range() -> None:
    low, high = np.array([-1, -0.4, 0, -np.inf], np.float32), np.array([1, 0.4, 10, np.inf], np.float32)
    space = spaces.Box(low, high)
    expected = [0.2, 0.08, 1.0, 0.2]
    torch.testing.assert_close(initial_log_std(0.2, space).exp(), torch.tensor(expected))


@pytest.mark.parametrize("algorithm", ["ppo", "a2c", "trpo"])
def test_a_model_acts_with_the_noise_of_the_start(algorithm: str) -> None:
    if algorithm == "trpo":
        pytest.importorskip("sb3_contrib")

    class Uneven(gym.Wrapper):
        def __init__(self) -> None:
            super().__init__(gym.make("PointWorld-v0"))
            self.action_space = spaces.Box(np.array([-0.1, 0], np.float32), np.array([0.1, 6], np.float32))

    model = make_model(LearnerConfig(algorithm=algorithm, initial_std=0.5, **SMALL), make_vec_env(Uneven, 2), seed=0)
    observations = torch.zeros(4000, 2)
    with torch.no_grad():
        spread = model.policy.get_distribution(observations).sample().std(0)
    torch.testing.assert_close(spread, torch.tensor([0.05, 1.5]), rtol=0.1, atol=0)


def test_discrete_actions_have_no_noise() -> None:
    model = make_model(LearnerConfig(**SMALL), make_vec_env("CartPole-v1", 2), seed=0)
    assert not hasattr(model.policy, "log_std")


@pytest.mark.parametrize("start", [1e-7, 3e-4, 3e-3])
def test_the_adaptive_rate_may_start_anywhere_and_then_moves(start: float) -> None:
    rate = learning_rate(LearnerConfig(learning_rate=start))
    assert isinstance(rate, KLAdaptiveLR)
    assert rate(1.0) == start
    assert rate.lowest <= min(1e-5, start / 10)
    rate.observe(1.0, step=1)
    assert rate(1.0) < start


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_steps": 0},
        {"gamma": 1.1},
        {"gae_lambda": 0.0},
        {"learning_rate": -1.0},
        {"learning_rate": math.nan},
        {"hidden": (8, 0)},
        {"entropy_weight": -0.1},
        {"target_kl": 0.0},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        LearnerConfig(**wrong)
