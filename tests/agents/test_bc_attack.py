"""Cloning with attacked observations instead of noisy ones."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from rlgen.agents import BC, BCConfig
from rlgen.data import Demonstrations, Episode
from rlgen.errors import InputError
from rlgen.runs.config import to_json
from rlgen.sb3 import normalized_policy

QUICK = BCConfig(max_updates=400, check_every=50, learning_rate=3e-3, average=0.98, plain_below=0.0, dropout=0.0)


def turning_expert() -> Demonstrations:
    """An expert that turns over at 0."""
    observations = np.random.default_rng(0).uniform(-300, 300, (401, 2))
    return Demonstrations.from_episodes([Episode(observations=observations, actions=0.4 * np.sign(observations[:-1]))])


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_each_number_is_moved_by_the_size_of_the_noise_such_that_the_loss_grows(attack: str, point_ppo) -> None:
    config = replace(QUICK, noise=0.5, attack=attack, max_updates=50)
    bc = BC(point_ppo(policy_kwargs=normalized_policy([8])), turning_expert(), config)
    bc.learn()
    bc.policy.zero_grad(set_to_none=True)
    attacked = bc._attacked(bc.batch, config)
    moved = (attacked.observations - bc.batch.observations).abs() / bc.observation_std[""]
    assert moved.max() <= 0.5 * (1 + 1e-4)
    assert moved.mean() > 0.4
    random = bc._noisy(bc.batch, 0.5)
    with torch.no_grad():
        assert bc._loss(bc.policy, attacked) > bc._loss(bc.policy, random)
        assert bc._loss(bc.policy, attacked) > bc._loss(bc.policy, bc.batch)
    assert torch.equal(attacked.actions, bc.batch.actions)
    assert all(parameter.grad is None for parameter in bc.policy.parameters())


def test_attacks_make_the_policy_smoother_than_noise_of_the_same_size(point_ppo) -> None:
    steepness = []
    for attack in ("none", "fgsm"):
        model = point_ppo(policy_kwargs=normalized_policy([64]))
        found = BC(model, turning_expert(), replace(QUICK, noise=0.2, attack=attack)).learn()
        turning = torch.zeros(1, 2, requires_grad=True)
        model.policy.get_distribution(turning).mode().sum().backward()
        steepness.append(float(turning.grad.norm()))
        assert found.attack == attack
    assert steepness[1] < 0.9 * steepness[0]
    assert found.regularization == "with dropout 0 and fgsm within 0.2"


def test_the_floats_of_a_dictionary_are_attacked_and_its_kinds_are_not() -> None:
    spaces = gym.spaces

    class Mixed(gym.Env):
        observation_space = spaces.Dict(
            {"far": spaces.Box(-9, 9, (3,)), "kind": spaces.Discrete(4), "near": spaces.Box(-1, 1, (2,))}
        )
        action_space = spaces.Box(-1, 1, (1,))

    random = np.random.default_rng(0)
    rows = {
        "far": 3 * random.normal(size=(101, 3)).astype(np.float32),
        "kind": random.integers(4, size=(101, 1)),
        "near": random.uniform(-1, 1, (101, 2)).astype(np.float32),
    }
    demonstrations = Demonstrations.from_episodes([Episode(observations=rows, actions=np.tanh(rows["far"][:-1, :1]))])
    config = replace(QUICK, noise=0.1, attack="fgsm")
    bc = BC(PPO("MultiInputPolicy", Mixed(), n_steps=8, batch_size=8, device="cpu"), demonstrations, config)
    moved = bc._attacked(bc.batch, config).observations
    for name in ("far", "near"):
        change = (moved[name] - bc.batch.observations[name]).abs().amax(0)
        torch.testing.assert_close(change, 0.1 * bc.observation_std[name], rtol=1e-3, atol=1e-5)
    assert torch.equal(moved["kind"], bc.batch.observations["kind"])


def test_a_cloning_with_an_attack_is_kept_however_well_a_plain_one_would_fit(point_ppo) -> None:
    config = replace(QUICK, noise=2.0, attack="fgsm", plain_below=0.99)
    assert replace(config, attack="none").plain() is not None
    assert config.plain() is None
    assert config.most_updates == config.max_updates
    assert BC(point_ppo(), turning_expert(), config).learn().attack == "fgsm"


def test_an_attack_without_a_size_and_an_unknown_one_are_refused() -> None:
    with pytest.raises(InputError, match="noise"):
        BCConfig(attack="fgsm", noise=0.0)
    with pytest.raises(InputError, match="attack"):
        BCConfig(attack="cw")  # type: ignore[arg-type]


def test_a_default_configuration_does_not_record_an_attack() -> None:
    assert "attack" not in to_json(BCConfig())
    assert to_json(BCConfig(attack="pgd"))["attack"] == "pgd"
