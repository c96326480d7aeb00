"""Observation statistics within the policy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.env_util import make_vec_env

from rlgen.nn.normalizer import FLOOR
from rlgen.sb3 import normalized_policy
from rlgen.sb3.features import NormalisedObservations, fit_normalizer

ROWS = torch.tensor([[0.0, 1.0, -8.0], [1.0, 0.0, 8.0], [-1.0, 0.5, 0.0]])


@pytest.fixture
def model():
    env = make_vec_env("Pendulum-v1", 2, seed=0)
    yield PPO(
        "MlpPolicy", env, n_steps=8, batch_size=16, n_epochs=2, policy_kwargs=normalized_policy([8]), device="cpu"
    )
    env.close()


def test_the_policy_acts_on_normalized_observations(model) -> None:
    assert fit_normalizer(model.policy, ROWS)
    observations = torch.tensor([[0.5, 0.5, 4.0]])
    seen = model.policy.extract_features(observations)
    std = ROWS.std(0, unbiased=False)
    expected = (observations - ROWS.mean(0)) / (std + FLOOR * std[std > 0].median())
    torch.testing.assert_close(seen, expected)


def test_policy_and_value_share_one_normalizer(model) -> None:
    policy = model.policy
    assert policy.pi_features_extractor is policy.vf_features_extractor is policy.features_extractor


def test_statistics_do_not_move_while_the_policy_learns(model) -> None:
    fit_normalizer(model.policy, ROWS)
    before = {name: value.clone() for name, value in model.policy.features_extractor.state_dict().items()}
    model.learn(32)
    after = model.policy.features_extractor.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_statistics_are_not_weights(model) -> None:
    assert [name for name, _ in model.policy.named_parameters() if "normaliser" in name] == []


def test_a_saved_model_carries_its_statistics(model, tmp_path: Path) -> None:
    fit_normalizer(model.policy, ROWS)
    model.save(tmp_path / "policy.zip")
    loaded = PPO.load(tmp_path / "policy.zip", device="cpu")
    observations = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32) * 5
    np.testing.assert_array_equal(
        loaded.predict(observations, deterministic=True)[0], model.predict(observations, deterministic=True)[0]
    )
    assert torch.equal(loaded.policy.features_extractor.normaliser.mean, ROWS.mean(0))


def test_a_policy_without_normalizer_is_left_alone() -> None:
    model = A2C("MlpPolicy", make_vec_env("Pendulum-v1", 1), device="cpu")
    before = {name: value.clone() for name, value in model.policy.state_dict().items()}
    assert not fit_normalizer(model.policy, ROWS)
    assert all(torch.equal(value, before[name]) for name, value in model.policy.state_dict().items())


def test_the_networks_have_the_widths_asked_for(model) -> None:
    assert isinstance(model.policy.features_extractor, NormalisedObservations)
    assert model.policy.mlp_extractor.policy_net[0].weight.shape == (8, 3)
    assert model.policy.mlp_extractor.value_net[0].weight.shape == (8, 3)
