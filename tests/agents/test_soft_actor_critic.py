"""SAC behind an agent: settings reach Stable-Baselines3, and memory is asked for before it is missed."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TransformAction
from stable_baselines3.common.env_util import make_vec_env

from rlgen.agents import soft_actor_critic
from rlgen.agents.soft_actor_critic import SACConfig, bytes_per_transition, make_sac
from rlgen.errors import InputError


def test_every_setting_reaches_it(point_env) -> None:
    config = SACConfig(
        learning_rate=1e-3, buffer_size=400, learning_starts=7, batch_size=16, tau=0.1, gamma=0.9, hidden=(8, 4)
    )
    model = make_sac(config, point_env(2), steps=100, seed=5)
    assert (model.learning_rate, model.learning_starts, model.batch_size, model.tau) == (1e-3, 7, 16, 0.1)
    assert (model.gamma, model.gradient_steps, model.seed) == (0.9, -1, 5)
    assert model.replay_buffer.buffer_size * 2 == 400
    assert [layer.out_features for layer in model.actor.latent_pi[::2]] == [8, 4]


@pytest.mark.parametrize(("steps", "kept"), [(300, 300), (5_000_000, 1_000_000)])
def test_the_replay_buffer_holds_the_training_up_to_a_million(steps: int, kept: int, point_env) -> None:
    assert make_sac(SACConfig(), point_env(4), steps, seed=0).replay_buffer.buffer_size * 4 == kept


def test_a_transition_takes_the_memory_that_sb3_gives_it(point_env) -> None:
    env = point_env(4)
    buffer = make_sac(SACConfig(buffer_size=40), env, 40, seed=0).replay_buffer
    arrays = (getattr(buffer, name) for name in vars(buffer) if isinstance(getattr(buffer, name), np.ndarray))
    assert sum(array.nbytes for array in arrays) == 40 * bytes_per_transition(env)


def test_a_replay_buffer_that_does_not_fit_is_refused_and_its_size_is_said(
    point_env, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rlgen")
    pages = {"SC_PHYS_PAGES": 3 * 1000, "SC_PAGE_SIZE": 36}
    machine = SimpleNamespace(sysconf_names=pages, sysconf=pages.get)
    monkeypatch.setattr(soft_actor_critic, "os", machine)
    assert bytes_per_transition(point_env(1)) == 36
    make_sac(SACConfig(buffer_size=1000), point_env(1), 1, seed=0)
    assert "replay buffer" in caplog.text
    with pytest.raises(InputError, match=r"--learner\.buffer-size"):
        make_sac(SACConfig(buffer_size=1001), point_env(1), 1, seed=0)


def test_discrete_actions_are_refused() -> None:
    env = make_vec_env("CartPole-v1", 1)
    assert isinstance(env.action_space, spaces.Discrete)
    with pytest.raises(InputError, match=r"--learner\.algorithm ppo"):
        make_sac(SACConfig(), env, 100, seed=0)


def test_actions_without_bounds_are_refused() -> None:
    endless = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    env = make_vec_env("Pendulum-v1", 1, wrapper_class=lambda env: TransformAction(env, lambda action: action, endless))
    with pytest.raises(InputError, match="finite bounds"):
        make_sac(SACConfig(), env, 100, seed=0)


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
