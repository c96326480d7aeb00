"""SAC, TD3, TQC and CrossQ behind an agent: settings reach their model, and memory is asked for before it is missed."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TransformAction
from stable_baselines3.common.env_util import make_vec_env
from torch import nn

from rlgen.agents import replay_memory
from rlgen.agents.off_policy import OFF_POLICY_LEARNERS, SACConfig, TD3Config
from rlgen.agents.off_policy_config import rounds
from rlgen.agents.replay_memory import bytes_per_transition
from rlgen.errors import InputError


def test_every_setting_reaches_it(point_env) -> None:
    config = SACConfig(
        learning_rate=1e-3, buffer_size=400, learning_starts=7, batch_size=16, tau=0.1, gamma=0.9, hidden=(8, 4),
        activation="silu",
    )  # fmt: skip
    model = config.make(point_env(2), steps=100, seed=5)
    assert (model.learning_rate, model.learning_starts, model.batch_size, model.tau) == (1e-3, 7, 16, 0.1)
    assert (model.gamma, model.gradient_steps, model.seed) == (0.9, -1, 5)
    assert model.replay_buffer.buffer_size * 2 == 400
    assert [layer.out_features for layer in model.actor.latent_pi[::2]] == [8, 4]
    for network in (model.actor.latent_pi, *model.critic.q_networks):
        assert [type(layer) for layer in network[1::2]] == [nn.SiLU, nn.SiLU]


@pytest.mark.parametrize(("steps", "kept"), [(300, 300), (5_000_000, 1_000_000)])
def test_the_replay_buffer_holds_the_training_up_to_a_million(steps: int, kept: int, point_env) -> None:
    assert SACConfig().make(point_env(4), steps, seed=0).replay_buffer.buffer_size * 4 == kept


def test_a_transition_takes_the_memory_that_sb3_gives_it(point_env) -> None:
    env = point_env(4)
    buffer = SACConfig(buffer_size=40).make(env, 40, seed=0).replay_buffer
    arrays = (getattr(buffer, name) for name in vars(buffer) if isinstance(getattr(buffer, name), np.ndarray))
    assert sum(array.nbytes for array in arrays) == 40 * bytes_per_transition(env)


def test_a_replay_buffer_that_does_not_fit_is_refused_and_its_size_is_said(
    point_env, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rlgen")
    pages = {"SC_PHYS_PAGES": 3 * 1000, "SC_PAGE_SIZE": 36}
    machine = SimpleNamespace(sysconf_names=pages, sysconf=pages.get)
    monkeypatch.setattr(replay_memory, "os", machine)
    assert bytes_per_transition(point_env(1)) == 36
    SACConfig(buffer_size=1000).make(point_env(1), 1, seed=0)
    assert "replay buffer" in caplog.text
    with pytest.raises(InputError, match=r"--learner\.buffer-size"):
        SACConfig(buffer_size=1001).make(point_env(1), 1, seed=0)


def test_discrete_actions_are_refused() -> None:
    env = make_vec_env("CartPole-v1", 1)
    assert isinstance(env.action_space, spaces.Discrete)
    with pytest.raises(InputError, match=r"learner\.algorithm ppo, which takes all"):
        SACConfig().make(env, 100, seed=0)


def test_actions_without_bounds_are_refused() -> None:
    endless = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    env = make_vec_env("Pendulum-v1", 1, wrapper_class=lambda env: TransformAction(env, lambda action: action, endless))
    with pytest.raises(InputError, match="finite bounds"):
        SACConfig().make(env, 100, seed=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"buffer_size": 0},
        {"tau": 1.5},
        {"gamma": 0.0},
        {"hidden": (0,)},
        {"learning_starts": -1},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        SACConfig(**wrong)


@pytest.mark.parametrize("name", OFF_POLICY_LEARNERS)
def test_every_learner_is_made_with_its_settings(name: str, point_env) -> None:
    if name in ("tqc", "crossq"):
        pytest.importorskip("sb3_contrib")
    config = OFF_POLICY_LEARNERS[name](learning_rate=2e-3, batch_size=8, gamma=0.9, hidden=(8,), buffer_size=40)
    env = make_vec_env("CartPole-v1", 2) if name == "dqn" else point_env(2)
    model = config.make(env, steps=100, seed=5)
    assert type(model).__name__.lower().removeprefix("fast") == name == config.algorithm
    assert (model.learning_rate, model.batch_size, model.gamma, model.seed) == (2e-3, 8, 0.9, 5)
    model.learn(120)
    assert model.num_timesteps == 120


def test_td3s_noise_is_a_share_of_the_actions_range(point_env) -> None:
    assert TD3Config(action_noise=0.0).make(point_env(1), 100, 0).action_noise is None
    noise = TD3Config(action_noise=0.2).make(point_env(1), 100, 0).action_noise
    drawn = np.stack([noise() for _ in range(2000)])  # added to actions in [-1, 1]
    assert drawn.std() == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize(
    ("per_step", "n_envs", "steps", "gradient_steps"),
    [(1, 8, 1, -1), (0.5, 8, 1, 4), (2, 8, 1, 16), (0.25, 1, 4, 1), (0.3, 8, 5, 12), (0.01, 8, 25, 2)],
)
def test_gradient_steps_are_counted_per_environment_step(
    per_step: float, n_envs: int, steps: int, gradient_steps: int
) -> None:
    assert rounds(per_step, n_envs) == {"train_freq": steps, "gradient_steps": gradient_steps}
