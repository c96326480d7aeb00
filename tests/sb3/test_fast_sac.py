"""FastSAC takes the gradient steps of Stable-Baselines3's SAC."""

from typing import Any

import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.env_util import make_vec_env

from rlgen.sb3.fast_sac import FastSAC, squashed_sample
from rlgen.sb3.layer_norm import LayerNormSACPolicy


def trained(kind: Any, policy: Any = "MlpPolicy", steps: int = 60, **changes: Any) -> SAC:
    env = make_vec_env("Pendulum-v1", n_envs=2, seed=0)
    settings: dict[str, Any] = {"learning_starts": 20, "batch_size": 16, "buffer_size": 200, "gradient_steps": -1}
    layers = {"net_arch": [16], **changes.pop("policy_kwargs", {})}
    model = kind(policy, env, policy_kwargs=layers, seed=0, device="cpu", **(settings | changes))
    return model.learn(steps)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ent_coef": 0.05},
        {"ent_coef": "auto_0.1", "target_update_interval": 3},
        {"n_steps": 3},
        {"policy": LayerNormSACPolicy},
        {"use_sde": True},
        {"policy_kwargs": {"share_features_extractor": True}},
    ],
    ids=["defaults", "fixed", "interval", "n steps", "layer norm", "gSDE", "shared"],
)
def test_its_steps_are_those_of_sb3(changes: dict[str, Any]) -> None:
    plain, fast = trained(SAC, **changes), trained(FastSAC, **changes)
    ours, theirs = fast.policy.state_dict(), plain.policy.state_dict()
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-5, msg=name)
    mine, other = fast.logger.name_to_value, plain.logger.name_to_value
    assert {name for name in mine if name.startswith("train/")} == {name for name in other if name.startswith("train/")}
    for name in ("train/ent_coef", "train/actor_loss", "train/critic_loss", "train/n_updates"):
        assert mine[name] == pytest.approx(other[name], rel=1e-3, abs=1e-5)


def test_a_sample_is_that_of_sb3s_distribution() -> None:
    model = trained(SAC, steps=4)
    observations = torch.randn(50, 3)
    torch.manual_seed(1)
    actions, log_prob = squashed_sample(model.actor, observations)
    torch.manual_seed(1)
    theirs, theirs_log_prob = model.actor.action_log_prob(observations)
    torch.testing.assert_close(actions, theirs)
    torch.testing.assert_close(log_prob[:, 0], theirs_log_prob)


def test_critics_keep_their_gradients_and_an_actor_that_does_not_learn_stays() -> None:
    model = trained(FastSAC)
    assert all(each.requires_grad for each in model.critic.parameters())
    model.actor.requires_grad_(False)
    before = model.actor.mu.weight.clone()
    critic = model.critic.qf0[0].weight.clone()
    model.learn(10, reset_num_timesteps=False)
    assert torch.equal(before, model.actor.mu.weight)
    assert not torch.equal(critic, model.critic.qf0[0].weight)
