"""Noise of off-policy models that lasts: what they act, what they save, and how they go on."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import SAC, TD3

from rlgen.agents.off_policy import OFF_POLICY_LEARNERS
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.runs.state_tree import decode, encode
from rlgen.sb3 import load_model_state, model_state
from rlgen.system.rng import rng_state, set_rng_state

ALGORITHMS = ["sac", "td3", "tqc", "crossq"]
SMALL = {"hidden": (8,), "batch_size": 8, "learning_starts": 0, "updates_per_step": 0.01}


def made(algorithm: str, env_id: str = "Hopper-v5", steps: int = 3000, **settings: Any) -> Any:
    if algorithm in ("tqc", "crossq"):
        pytest.importorskip("sb3_contrib")
    more = {"critic_hidden": (8,)} if algorithm == "crossq" else {}
    config = OFF_POLICY_LEARNERS[algorithm](**{**SMALL, **more, **settings})
    return config.make(make_vec(env_id, 2, seed=0, n_threads=1), steps, 0)


def acted(model: Any, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise [T, N, A] of the stored actions in standard deviations, and the ends of episodes [T, N]."""
    model.learn(steps, log_interval=10_000)
    buffer = model.replay_buffer
    rows = slice(0, buffer.pos)
    observed = torch.as_tensor(buffer.observations[rows]).flatten(0, 1)
    taken = torch.as_tensor(buffer.actions[rows]).flatten(0, 1)
    model.policy.set_training_mode(False)
    with torch.no_grad():
        if hasattr(model.actor, "get_action_dist_params"):
            mean, log_std, _ = model.actor.get_action_dist_params(observed)
            noise = (torch.atanh(taken.clamp(-1 + 1e-6, 1 - 1e-6)) - mean) / log_std.exp()
        else:
            noise = (taken - model.actor(observed)) / 0.1
    return noise.view(*buffer.actions[rows].shape).numpy(), buffer.dones[rows]


@pytest.mark.parametrize(("noise", "expected"), [("correlated", math.exp(-0.08)), ("coloured", 0.77), ("white", 0.0)])
@pytest.mark.parametrize("algorithm", ["sac", "td3"])
def test_noise_lasts_within_an_episode(algorithm: str, noise: str, expected: float) -> None:
    """Before the first gradient step, when the distribution of the actor is known."""
    model = made(algorithm, steps=8000, noise=noise)
    model.gradient_steps = 0
    found, ends = acted(model, 3000)
    inside = np.abs(found[:-1]).max(-1) < 3
    going_on = (ends[:-1] == 0) & inside
    assert ends.sum() > 20
    assert found.std() == pytest.approx(1, abs=0.2)
    assert np.corrcoef(found[:-1][going_on].ravel(), found[1:][going_on].ravel())[0, 1] == pytest.approx(
        expected, abs=0.08
    )
    after_end = ends[:-1] == 1
    assert abs(np.corrcoef(found[:-1][after_end].ravel(), found[1:][after_end].ravel())[0, 1]) < 0.35


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("noise", ["correlated", "coloured"])
def test_a_saved_state_goes_on_bit_for_bit(algorithm: str, noise: str) -> None:
    model = made(algorithm, noise=noise, updates_per_step=0.1)
    model.learn(100, log_interval=10_000)
    state = decode(*encode({"model": model_state(model), "env": model.env.state_dict(), "rng": rng_state()}))
    model.learn(60, log_interval=10_000, reset_num_timesteps=False)
    expected = model.replay_buffer.actions[50:80].copy()
    other = made(algorithm, noise=noise, updates_per_step=0.1)
    other.env.load_state_dict(state["env"])
    load_model_state(other, state["model"])
    set_rng_state(state["rng"])
    other.learn(60, log_interval=10_000, reset_num_timesteps=False)
    np.testing.assert_array_equal(other.replay_buffer.actions[50:80], expected)


@pytest.mark.parametrize(("algorithm", "kind"), [("sac", SAC), ("td3", TD3)])
def test_saved_files_open_with_stable_baselines(algorithm: str, kind: type, tmp_path) -> None:
    model = made(algorithm, noise="coloured")
    model.learn(20, log_interval=10_000)
    model.save(tmp_path / "model")
    observation = model.observation_space.sample()
    again = kind.load(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(*(each.predict(observation, deterministic=True)[0] for each in (model, again)))
    assert type(model).__name__ in ("FastSAC", "TD3")


def test_a_long_episode_starts_another_sequence_of_coloured_noise() -> None:
    model = made("sac", "Pendulum-v1", noise="coloured", updates_per_step=1e-9)
    noise = model.exploration_noise.begin(50, 2, 3, "cpu")
    none = torch.zeros(2, dtype=torch.bool)
    drawn = torch.stack([noise.draw(none).noise for _ in range(5000)])
    assert float(drawn.std()) == pytest.approx(1, abs=0.05)
    ends = torch.corrcoef(torch.stack([drawn[49::50].flatten()[:-6], drawn[50::50].flatten()]))[0, 1]
    assert abs(float(ends)) < 0.2


def test_discrete_actions_have_no_such_noise() -> None:
    with pytest.raises(InputError, match="continuous actions for noise that lasts"):
        OFF_POLICY_LEARNERS["dqn"](noise="coloured")
    with pytest.raises(InputError, match="noise_color"):
        OFF_POLICY_LEARNERS["sac"](noise="coloured", noise_color=0.0)
