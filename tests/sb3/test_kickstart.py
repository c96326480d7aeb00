# ruff: noqa: NPY002 (SB3 draws from the legacy global generator)
"""An actor that is kickstarted stays near its clone while its critics are wrong."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import DDPG, SAC, TD3
from stable_baselines3.common.callbacks import ConvertCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from rlgen.sb3.kickstart import Kickstart


def model_of(name: str) -> OffPolicyAlgorithm:
    known: dict[str, Any] = {"SAC": SAC, "TD3": TD3, "DDPG": DDPG}
    kind = known.get(name) or getattr(pytest.importorskip("sb3_contrib"), name)
    settings: dict[str, Any] = {"learning_starts": 20, "batch_size": 32, "buffer_size": 500, "learning_rate": 3e-3}
    if name == "SAC":
        settings["ent_coef"] = 1e-3
    env = make_vec_env("Pendulum-v1", seed=0)
    layers = {"net_arch": {"pi": [32], "qf": [32]}}
    return kind("MlpPolicy", env, policy_kwargs=layers, seed=0, device="cpu", **settings)


def moved(name: str, weight: float) -> float:
    """Mean squared change of the mean action by a training."""
    model = model_of(name)
    model.learn(150)  # so that batch statistics (CrossQ) are those of the data, as a clone's are
    kickstart, before = Kickstart(model, weight), deepcopy(model.policy)
    kickstart.remember()
    with kickstart.applied():
        model.learn(100, kickstart, reset_num_timesteps=False)
    observations = np.stack([model.observation_space.sample() for _ in range(200)])
    after, cloned = (each.predict(observations, deterministic=True)[0] for each in (model.policy, before))
    return float(np.square(after - cloned).mean())


@pytest.mark.parametrize("name", ["SAC", "TD3", "DDPG", "TQC", "CrossQ"])
def test_an_actor_stays_near_its_clone(name: str) -> None:
    assert moved(name, weight=1000) < 0.2 * moved(name, weight=0)


def test_the_gradient_is_that_of_the_loss_at_replayed_states() -> None:
    model = model_of("SAC")
    kickstart = Kickstart(model, 5.0)
    model.learn(40)
    kickstart.remember()
    model.learn(30, reset_num_timesteps=False)
    kickstart.model, kickstart.slope = model, torch.tensor(2.0)
    actor: Any = model.actor
    np.random.seed(3)
    observations = model.replay_buffer.sample(32).observations
    distance = (actor(observations, deterministic=True) - kickstart.clone(observations, deterministic=True)).square()
    expected = torch.autograd.grad(5.0 * 2.0 * distance.mean(), [actor.mu.weight])[0]
    actor.zero_grad()
    actor.mu.weight.grad = torch.full_like(actor.mu.weight, 0.25)
    seen = []
    with kickstart.applied():
        actor.optimizer.register_step_pre_hook(lambda *_: seen.append(actor.mu.weight.grad.clone()))
        np.random.seed(3)
        actor.optimizer.step()
    torch.testing.assert_close(seen[0], expected + 0.25)


@pytest.mark.parametrize("name", ["SAC", "TD3", "TQC", "CrossQ"])
def test_the_slope_is_that_of_the_critics_in_the_action(name: str) -> None:
    model = model_of(name)
    kickstart = Kickstart(model, 1.0)
    model.learn(60, kickstart)
    model.policy.set_training_mode(False)
    np.random.seed(3)
    found = kickstart._mean_slope()
    np.random.seed(3)
    observations = model.replay_buffer.sample(32).observations
    actions = torch.as_tensor(
        model.policy.scale_action(model.policy.predict(observations.numpy(), deterministic=True)[0])
    )

    critic = model.critic.double()

    def value(shift: float) -> torch.Tensor:
        values: Any = critic(observations.double(), actions.double() + shift)
        return (values if name == "TQC" else torch.cat(values, 1)).flatten(1).mean(1)

    by_differences = (value(1e-4) - value(-1e-4)) / 2e-4
    assert float(found) == pytest.approx(float(by_differences.detach().abs().mean()), rel=1e-3)


def test_the_weight_falls_linearly_to_a_fraction() -> None:
    model = model_of("SAC")
    kickstart, weights = Kickstart(model, 4.0, final=0.5), []
    kickstart.remember()
    weighed = ConvertCallback(lambda local, _: weights.append(kickstart.present) or True)
    model.learn(100, [kickstart, weighed])
    assert weights[10] == pytest.approx(4 * 0.95, abs=0.1)
    assert weights[60] == pytest.approx(4 * 0.7, abs=0.1)
    assert kickstart.present == pytest.approx(2)


def test_the_clone_follows_as_a_running_average() -> None:
    model = model_of("SAC")
    kickstart = Kickstart(model, 4.0, average=0.9)
    kickstart.remember()
    weights: list[torch.Tensor] = [model.actor.mu.weight.detach().clone()]
    watched = ConvertCallback(lambda local, _: weights.append(model.actor.mu.weight.detach().clone()) or True)
    model.learn(60, [watched, kickstart])
    expected = weights[0].double()
    for each in weights[1:]:
        expected = 0.9 * expected + 0.1 * each
    torch.testing.assert_close(kickstart.clone.mu.weight.double(), expected, rtol=1e-5, atol=1e-6)


def test_without_an_average_the_clone_stays() -> None:
    model = model_of("SAC")
    kickstart = Kickstart(model, 4.0)
    kickstart.remember()
    before = model.actor.mu.weight.detach().clone()
    model.learn(60, kickstart)
    assert torch.equal(kickstart.clone.mu.weight, before)
    assert not torch.equal(model.actor.mu.weight, before)


def test_without_a_clone_and_after_the_block_nothing_changes() -> None:
    plain = model_of("SAC")
    plain.learn(80)
    kickstarted = model_of("SAC")
    kickstart = Kickstart(kickstarted, 5.0)
    kickstart.slope = torch.tensor(1.0)
    with kickstart.applied():
        kickstarted.learn(60)
    kickstart.remember()
    kickstarted.learn(20, reset_num_timesteps=False)
    assert torch.equal(plain.actor.mu.weight, kickstarted.actor.mu.weight)
