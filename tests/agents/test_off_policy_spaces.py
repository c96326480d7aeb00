"""GAIL and SQIL with replay buffers of images, dictionaries and discrete actions, and under VecNormalize."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.agents import GAIL, SQIL
from rlgen.agents.gail import OFF_POLICY
from rlgen.agents.off_policy import DQNConfig
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.runs import evaluate
from rlgen.runs.state_tree import decode, encode
from rlgen.system.rng import rng_state, set_rng_state

from .tasks import Balancer, Swinger, Walker
from .test_gail_off_policy import Draw

SMALL = replace(
    OFF_POLICY,
    discriminator=replace(OFF_POLICY.discriminator, hidden=(8,), batch_size=16, filters=2, update_every=8),
    warm_start=False,
)
CONFIG = DQNConfig(hidden=(8,), learning_starts=20, batch_size=16, updates_per_step=0.5, normalize=True)


def grid(kind: str) -> tuple[DQN, Demonstrations]:
    shown = Demonstrations.record(Walker(), make_vec(f"test/{kind}-v0", 2), 4)
    return CONFIG.make(make_vec(f"test/{kind}-v0", 2), 200, seed=0), shown


@pytest.mark.parametrize("kind", ["GridImage", "GridDictionary"])
def test_a_minibatch_of_images_is_paid_by_the_discriminator(kind: str) -> None:
    model, shown = grid(kind)
    gail, draw = GAIL(model, shown, SMALL), Draw()
    gail.learn(40, draw)
    images = draw.rows.observations["image"] if kind == "GridDictionary" else draw.rows.observations
    seen = draw.samples.observations["image"] if kind == "GridDictionary" else draw.samples.observations
    assert images.dtype == torch.uint8
    assert torch.equal(images, seen)
    torch.testing.assert_close(draw.rewards, gail.source.reward(draw.rows), atol=1e-5, rtol=1e-5)


def test_demonstrated_images_join_the_minibatches_as_the_policy_sees_them() -> None:
    model, shown = grid("GridDictionary")
    sqil, draw = SQIL(model, shown), Draw()
    sqil.learn(40, draw)
    assert draw.rewards[:25].eq(0).all()
    assert draw.rewards[25:].ge(1).all()
    known = {row.tobytes() for row in np.moveaxis(np.asarray(shown.observations["image"]), -1, 1)}
    assert all(row.numpy().tobytes() in known for row in draw.samples.observations["image"][25:])
    assert draw.samples.observations["image"].dtype == torch.uint8
    assert draw.samples.observations["direction"].shape == (50, 1)
    assert set(draw.samples.actions[25:].flatten().tolist()) <= set(shown.actions.flatten().tolist())


def test_under_vec_normalize_demonstrated_rows_are_normalized_when_drawn_and_rewards_are_not() -> None:
    inner = make_vec("Pendulum-v1", 2)
    shown = Demonstrations.record(Swinger(), inner, 2)
    env = VecNormalize(inner)
    model = SAC("MlpPolicy", env, learning_starts=10, batch_size=8, policy_kwargs={"net_arch": [8]}, device="cpu")
    sqil, draw = SQIL(model, shown), Draw()
    sqil.learn(40, draw)
    expert = draw.samples.observations[25:].numpy()
    raw = env.unnormalize_obs(expert)
    nearest = np.abs(raw[:, None] - np.asarray(shown.observations)[None]).max(-1).min(-1)
    assert nearest.max() < 1e-3
    assert draw.rewards.tolist() == 25 * [0.0] + 25 * [1.0]


def test_under_vec_normalize_the_discriminator_learns_from_raw_rows_of_the_replay_buffer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner = make_vec("Pendulum-v1", 2)
    shown, env = Demonstrations.record(Swinger(), inner, 2), VecNormalize(inner)
    model = SAC("MlpPolicy", env, learning_starts=10, batch_size=8, policy_kwargs={"net_arch": [8]}, device="cpu")
    gail, batches = GAIL(model, shown, SMALL), []
    update = gail.source.update
    monkeypatch.setattr(gail.source, "update", lambda batch: batches.append(batch) or update(batch))
    gail.learn(40)
    radius = batches[-1].observations[:, :2].square().sum(1)  # cosine and sine
    torch.testing.assert_close(radius, torch.ones_like(radius), atol=1e-4, rtol=0)


def test_a_training_on_images_goes_on_bit_for_bit() -> None:
    model, shown = grid("GridDictionary")
    gail = GAIL(model, shown, SMALL).learn(60)
    state, world, generators = decode(*encode(deepcopy(gail.state_dict()))), deepcopy(model.get_env().venv), rng_state()
    gail.learn(60)
    other = CONFIG.make(world, 200, seed=5)
    again = GAIL(other, shown, SMALL)
    again.load_state_dict(state)
    set_rng_state(generators)
    again.learn(60)
    assert other.num_timesteps == 120
    for mine, theirs in ((model.policy, other.policy), (gail.source.network, again.source.network)):
        for name, value in mine.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[name]), name
    buffers: list[Any] = [each.replay_buffer for each in (model, other)]
    assert np.array_equal(*(each.observations["image"] for each in buffers))


def test_sqil_balances_with_dqn_as_shown() -> None:
    env = make_vec("CartPole-v1", 4, env_kwargs={"max_episode_steps": 100})
    shown = Demonstrations.record(Balancer(), env, 4)
    config = DQNConfig(
        learning_rate=1e-3, batch_size=64, gamma=0.98, target_update_interval=100, exploration_fraction=0.05
    )
    model = config.make(env, 20_000, seed=0)
    SQIL(model, shown).learn(4000)
    assert evaluate(model, env, 4, seed=99, label=None).returns.mean() > 80  # untrained: about 10
