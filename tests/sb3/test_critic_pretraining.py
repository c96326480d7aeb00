"""SARSA on demonstrations: values known on paper, the gradient for the action, and next actions of whole files only."""

from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.env_util import make_vec_env

from rlgen.data import Demonstrations, Episode
from rlgen.sb3.critic_pretraining import CriticPretraining, has_next_row

GAMMA = 0.5


@pytest.fixture(scope="module")
def demonstrations() -> Demonstrations:
    random = np.random.default_rng(0)
    episodes = [
        Episode(
            observations=random.normal(size=(21, 3)).astype(np.float32),
            actions=random.uniform(-2, 2, (20, 1)).astype(np.float32),
        )
        for _ in range(2)
    ]
    return Demonstrations.from_episodes(episodes, env_id="Pendulum-v1")


def model_of(kind: Any = SAC) -> Any:
    settings = {"policy_kwargs": {"net_arch": [32]}, "gamma": GAMMA, "tau": 0.1, "buffer_size": 10, "seed": 0}
    return kind("MlpPolicy", make_vec_env("Pendulum-v1", 1), **settings)


def ones(batch: Any) -> torch.Tensor:
    return torch.ones(len(batch))


def slope_and_values(model: Any, demonstrations: Demonstrations) -> tuple[float, torch.Tensor]:
    actions = torch.tensor(demonstrations.actions / 2, requires_grad=True)
    values = torch.cat(model.critic(torch.tensor(demonstrations.observations), actions), 1)
    gradients = [torch.autograd.grad(value.sum(), actions, retain_graph=True)[0] for value in values.unbind(1)]
    return float(torch.stack(gradients).norm(dim=2).mean()), values.detach()


@pytest.mark.parametrize("kind", [SAC, TD3])
def test_a_reward_of_1_for_ever_has_the_value_of_its_sum(kind: Any, demonstrations: Demonstrations) -> None:
    model = model_of(kind)
    actor = [each.clone() for each in model.actor.parameters()]
    CriticPretraining(updates=300, learning_rate=1e-2).run(model, demonstrations, ones)
    _, values = slope_and_values(model, demonstrations)
    torch.testing.assert_close(values, torch.full_like(values, 1 / (1 - GAMMA)), atol=0.2, rtol=0)
    assert all(torch.equal(a, b) for a, b in zip(actor, model.actor.parameters(), strict=True))
    pairs = zip(model.critic.parameters(), model.critic_target.parameters(), strict=True)
    assert all(torch.equal(own, target) for own, target in pairs)


def test_the_penalty_flattens_the_critics_at_demonstrated_actions(demonstrations: Demonstrations) -> None:
    slopes = []
    for weight in (0.0, 3.0):
        model = model_of()
        pretraining = CriticPretraining(updates=100, gradient_weight=weight, learning_rate=1e-2)
        pretraining.run(model, demonstrations, lambda batch: batch.actions[:, 0])
        slopes.append(slope_and_values(model, demonstrations)[0])
    assert slopes[1] < 0.7 * slopes[0]


def test_only_consecutive_rows_of_an_episode_have_a_next_action(demonstrations: Demonstrations) -> None:
    assert has_next_row(demonstrations).tolist() == ([True] * 19 + [False]) * 2
    assert not has_next_row(demonstrations.every(4)).any()


def test_a_model_without_such_critics_and_no_updates_change_nothing(demonstrations: Demonstrations) -> None:
    ppo = PPO("MlpPolicy", make_vec_env("Pendulum-v1", 1), seed=0)
    CriticPretraining(updates=5).run(ppo, demonstrations, ones)
    model = model_of()
    before = [each.clone() for each in model.critic.parameters()]
    CriticPretraining(updates=0).run(model, demonstrations, ones)
    assert all(torch.equal(a, b) for a, b in zip(before, model.critic.parameters(), strict=True))
