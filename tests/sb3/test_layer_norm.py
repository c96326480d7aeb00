"""Critics with layer normalization: where it is, what it bounds, and that saved models open."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.env_util import make_vec_env
from torch import nn

from rlgen.agents.off_policy import OFF_POLICY_LEARNERS
from rlgen.sb3 import load_model_state, load_policy, model_state

LEARNERS = ("sac", "td3", "tqc")


def model_of(algorithm: str, seed: int = 0) -> Any:
    if algorithm == "tqc":
        pytest.importorskip("sb3_contrib")
    config = OFF_POLICY_LEARNERS[algorithm](
        layer_norm=True, hidden=(16, 8), learning_starts=10, batch_size=8, buffer_size=100
    )
    return config.make(make_vec_env("Pendulum-v1", 1, seed=seed), 100, seed=seed)


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_values_are_bounded_however_far_an_action_is_from_the_data(algorithm: str) -> None:
    model = model_of(algorithm)
    assert not any(isinstance(part, nn.LayerNorm) for part in model.actor.modules())
    far = torch.randn(50, 3), 1e4 * torch.randn(50, 1)
    for critic in (model.critic, model.critic_target):
        with torch.no_grad():
            values = critic(*far)
        for number, network in enumerate(critic.q_networks):
            assert [type(layer) for layer in network] == 2 * [nn.Linear, nn.LayerNorm, nn.ReLU] + [nn.Linear]
            bound = network[-1].weight.norm(dim=1) * 8**0.5 + network[-1].bias.abs()
            own = values[:, number] if algorithm == "tqc" else values[number]
            assert (own.abs() <= bound).all()


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_a_saved_model_acts_alike_in_sb3_and_rlgen(algorithm: str, tmp_path: Path) -> None:
    model = model_of(algorithm).learn(30)
    model.save(tmp_path / "model.zip")
    seen = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    expected = model.predict(seen, deterministic=True)[0]
    for loaded in (type(model).load(tmp_path / "model.zip"), load_policy(tmp_path / "model.zip")):
        np.testing.assert_allclose(loaded.predict(seen, deterministic=True)[0], expected, atol=1e-6)
    again = type(model).load(tmp_path / "model.zip", env=model.get_env())
    norms = [part for part in again.critic.modules() if isinstance(part, nn.LayerNorm)]
    assert len(norms) == 4
    assert all((norm.weight != 1).any() for norm in norms), "they have learned"


def test_a_state_goes_into_a_model_with_the_same_settings() -> None:
    first, second = model_of("sac").learn(30), model_of("sac", seed=1)
    load_model_state(second, model_state(first))
    for (name, one), two in zip(first.policy.state_dict().items(), second.policy.state_dict().values(), strict=True):
        assert torch.equal(one, two), name
