"""Correlated action noise in the rollouts and updates of on-policy models."""

import math
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import ConvertCallback
from stable_baselines3.common.env_util import make_vec_env
from torch.distributions import Normal

from rlgen.agents.learner import LearnerConfig
from rlgen.envs import make_vec
from rlgen.equations.correlated_noise import innovation
from rlgen.errors import InputError
from rlgen.sb3.exploration_noise import ExplorationNoise, step_seconds
from rlgen.sb3.fast_ppo import FastPPO

SMALL = {"n_steps": 64, "batch_size": 64, "n_epochs": 1, "hidden": (8,), "normalize": False, "schedule": "constant"}
NOISES = [{"noise": "correlated"}, {"noise": "coloured", "noise_color": 1.0}, {"noise": "gsde"}]


def made(env: Any = None, **settings: Any) -> Any:
    return LearnerConfig(**{**SMALL, **settings}).make(env or make_vec("Hopper-v5", 4, seed=0), 1000, 0)


def noise_of(model: Any) -> np.ndarray:
    """The noise of a rollout [T, N, A], in standard deviations."""
    buffer = model.rollout_buffer
    observed = torch.as_tensor(buffer.observations)
    with torch.no_grad():
        mean = model.policy.get_distribution(observed.flatten(0, 1)).distribution.mean.view(buffer.actions.shape)
    return (buffer.actions - mean.numpy()) / model.policy.log_std.exp().detach().numpy()


def rollout_of(**settings: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """A model after a rollout and before its update, the noise, and the starts of episodes."""
    found: list[Any] = []

    class Kept(ConvertCallback):
        def _on_rollout_end(self) -> None:
            found.append((noise_of(self.model), self.model.rollout_buffer.episode_starts.copy()))

    model = made(**settings)
    model.learn(1, Kept(lambda *_: True))
    return model, *found[0]


@pytest.mark.parametrize("settings", NOISES[:2])
def test_noise_lasts_within_an_episode_and_not_beyond(settings: dict) -> None:
    _, noise, starts = rollout_of(**settings, n_steps=2000, noise_seconds=0.1)
    assert noise.std() == pytest.approx(1, abs=0.1)
    assert starts[1:].sum() > 20
    pairs = [noise[:-1], noise[1:]]
    going_on = starts[1:] == 0
    lasting, apart = (np.corrcoef(*(each[rows].ravel() for each in pairs))[0, 1] for rows in (going_on, ~going_on))
    expected = math.exp(-0.008 / 0.1) if settings["noise"] == "correlated" else 0.75
    assert lasting == pytest.approx(expected, abs=0.05)
    assert abs(apart) < 0.3
    between = np.corrcoef(noise[:, 0, 0], noise[:, 1, 0])[0, 1]
    assert abs(between) < 0.35, "environments are independent"


@pytest.mark.parametrize("settings", [{}, *NOISES[:1]])
def test_log_probabilities_are_marginal_by_default(settings: dict) -> None:
    model = made(**settings)
    seen = []

    class Compared(ConvertCallback):
        def _on_rollout_end(self) -> None:
            buffer = self.model.rollout_buffer
            rows = (torch.as_tensor(each).flatten(0, 1) for each in (buffer.observations, buffer.actions))
            with torch.no_grad():
                _, log_prob, _ = self.model.policy.evaluate_actions(*rows)
            seen.append((log_prob.numpy(), buffer.log_probs.ravel()))

    model.learn(1, Compared(lambda *_: True))
    np.testing.assert_allclose(*seen[0], rtol=1e-4, atol=1e-4)


def test_conditional_likelihoods_are_those_given_the_step_before() -> None:
    """At the start of the update the ratio of new to old is 1, and the stored value is the density of what is new."""
    rho, found = math.exp(-0.008 / 0.1), []

    class Compared(ConvertCallback):
        def _on_rollout_end(self) -> None:
            model, buffer = self.model, self.model.rollout_buffer
            noise = torch.as_tensor(noise_of(model))
            going_on = torch.as_tensor(buffer.episode_starts == 0)[..., None]
            going_on[0] = False
            fresh = innovation(noise, noise.roll(1, 0), rho * going_on)
            expected = Normal(0.0, 1.0).log_prob(fresh).sum(-1) - model.policy.log_std.detach().sum()
            found.append((expected.numpy(), buffer.log_probs.copy()))

    model = made(noise="correlated", noise_likelihood="conditional", n_steps=300, n_epochs=1, batch_size=1200)
    model.learn(1, Compared(lambda *_: True))
    np.testing.assert_allclose(*found[0], rtol=2e-3, atol=2e-3)
    assert model.logger.name_to_value["train/approx_kl"] < 1e-5
    assert model.logger.name_to_value["train/clip_fraction"] == 0


def test_the_gradient_of_conditional_likelihoods_is_that_of_the_written_out_loss() -> None:
    model = made(noise="correlated", noise_likelihood="conditional", n_steps=32)
    model.collect_rollouts(*prepared(model), n_rollout_steps=32)
    buffer = model.rollout_buffer
    buffer.advantages[:] = np.random.default_rng(0).normal(size=buffer.advantages.shape)
    model.normalize_advantage, model.batch_size = False, 128
    np.random.seed(0)  # noqa: NPY002
    (rows,) = model._minibatches()
    from rlgen.sb3.actor_critic import surrogate_loss

    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
    loss = surrogate_loss(model.policy, rows, 0.2, 0.0, 0.0).loss
    weights = [model.policy.action_net.weight, model.policy.log_std]
    found = torch.autograd.grad(loss, weights, allow_unused=True)

    mean, before = (
        model.policy.get_distribution(each).distribution.mean for each in (rows.observations, rows.before.observations)
    )
    rho = rows.before.correlation
    std = model.policy.log_std.exp() * (1 - rho.square()).sqrt()
    conditional = Normal(mean + rho * (rows.before.actions - before), std).log_prob(rows.actions).sum(-1)
    constant = 0.5 * rows.actions.shape[1] * torch.log1p(-rho.square()).squeeze(-1)
    ratio = (conditional + constant - rows.old_log_prob).exp()
    clipped = ratio.clamp(0.8, 1.2)
    expected = torch.autograd.grad(-torch.minimum(ratio * rows.advantages, clipped * rows.advantages).mean(), weights)
    for given, written in zip(found, expected, strict=True):
        torch.testing.assert_close(given, written, rtol=1e-3, atol=1e-5)


def prepared(model: Any) -> tuple[Any, Any, Any]:
    """Environment, callback and buffer, after what `learn` does at its start."""
    _, callback = model._setup_learn(1000)
    callback.on_training_start(locals(), globals())
    return model.env, callback, model.rollout_buffer


@pytest.mark.parametrize("settings", NOISES)
@pytest.mark.parametrize("algorithm", ["ppo", "trpo"])
def test_learners_train_with_every_noise_and_save_plain_models(settings: dict, algorithm: str, tmp_path) -> None:
    if algorithm == "trpo":
        pytest.importorskip("sb3_contrib")
    model = made(**settings, algorithm=algorithm)
    model.learn(600)
    model.save(tmp_path / "model")
    again = type(model).load(tmp_path / "model", device="cpu")
    observation = model.observation_space.sample()
    np.testing.assert_array_equal(*(each.predict(observation, deterministic=True)[0] for each in (model, again)))
    if algorithm == "ppo" and settings["noise"] != "gsde":
        assert type(model) is FastPPO


def test_state_dependent_exploration_has_about_the_deviation_that_was_asked_for() -> None:
    for settings in ({"hidden": (64, 64)}, {"hidden": ()}, {"hidden": (32,), "activation": "relu"}):
        for env_id, half_range in (("Hopper-v5", 1.0), ("Humanoid-v5", 0.4)):
            model = made(make_vec(env_id, 2), noise="gsde", initial_std=0.5, noise_seconds=0.08, **settings)
            observations = torch.randn(500, *model.observation_space.shape)
            with torch.no_grad():
                std = model.policy.get_distribution(observations).distribution.stddev
            assert float(std.square().mean().sqrt()) == pytest.approx(0.5 * half_range, rel=0.1)
    assert (model.use_sde, model.sde_sample_freq) == (True, round(0.08 / 0.015))


def test_white_noise_is_what_it_was() -> None:
    """The same random numbers as SB3 draws."""
    noise = ExplorationNoise().begin(3, 2, 4, "cpu")
    torch.manual_seed(0)
    drawn = [noise.draw(torch.zeros(2, dtype=torch.bool)) for _ in range(3)]
    torch.manual_seed(0)
    for each in drawn:
        assert torch.equal(each.noise, torch.randn(2, 4))
        assert each.scored is each.noise


@pytest.mark.parametrize(
    ("env_id", "seconds"), [("Hopper-v5", 0.008), ("Pendulum-v1", 0.05), ("CartPole-v1", 0.02), ("FrozenLake-v1", 0.25)]
)
def test_the_duration_of_a_step_is_known(env_id: str, seconds: float) -> None:
    env = make_vec(env_id, 1)
    assert step_seconds(env) == pytest.approx(seconds)
    assert step_seconds(make_vec_env(env_id, 1)) == pytest.approx(seconds)


def test_an_environment_without_a_duration_is_refused() -> None:
    class Timeless(gym.Env):
        observation_space = gym.spaces.Box(-1, 1, (2,))
        action_space = gym.spaces.Box(-1, 1, (1,))
        metadata: ClassVar[dict[str, Any]] = {}

        def reset(self, **_: Any) -> Any:
            return np.zeros(2, np.float32), {}

    with pytest.raises(InputError, match="known duration of a step") as refused:
        made(make_vec_env(Timeless, 1), noise="correlated")
    assert " at 0x" not in str(refused.value), "the address of an object says nothing"


@pytest.mark.parametrize(
    "wrong",
    [
        {"algorithm": "a2c", "noise": "correlated"},
        {"noise_seconds": 0.0},
        {"noise": "coloured", "noise_color": -1.0},
        {"noise": "coloured", "noise_likelihood": "conditional"},
        {"algorithm": "trpo", "noise": "correlated", "noise_likelihood": "conditional"},
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        LearnerConfig(**wrong)
    with pytest.raises(InputError, match="continuous actions"):
        made(make_vec("CartPole-v1", 2), noise="correlated")
    with pytest.raises(InputError, match="continuous actions"):
        made(make_vec("CartPole-v1", 2), noise="gsde")


def test_observations_of_several_arrays_are_refused() -> None:
    class Two(gym.Env):
        observation_space = gym.spaces.Dict({"a": gym.spaces.Box(-1, 1, (2,)), "b": gym.spaces.Box(-1, 1, (1,))})
        action_space = gym.spaces.Box(-1, 1, (1,))
        dt = 0.1

    with pytest.raises(InputError, match="an observation of one array"):
        made(make_vec_env(Two, 1), noise="correlated")
