"""PPO on the device of its worlds."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.rewards import ReturnNormalizer
from rlgen.sb3 import DevicePPO, FastPPO, Relabel, WeightedReward, load_model_state, model_state, normalized_policy
from rlgen.sb3.adaptive_rate import KLAdaptiveLR, frozen_schedule
from rlgen.sb3.device_ppo import device_env_of
from rlgen.sb3.device_rollout import DeviceRollout
from rlgen.sb3.log import EpisodeReturns
from rlgen.sb3.rollout import BufferRollout, rollout_of

from .worlds import TARGET, Aim, aiming

SETTINGS: dict[str, Any] = {
    "n_steps": 10, "batch_size": 40, "n_epochs": 2, "gamma": 0.9, "seed": 0, "device": "cpu", "ent_coef": 0.01,
    "policy_kwargs": normalized_policy([16]),
}  # fmt: skip


def model_of(**settings: Any) -> DevicePPO:
    return DevicePPO("MlpPolicy", aiming(), **(SETTINGS | settings))


def weights(model: PPO) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.policy.parameters()])


def test_it_learns_what_is_best() -> None:
    model = model_of(n_epochs=5, learning_rate=5e-3, ent_coef=0.0)
    model.learn(12_000)
    actions = model.predict(np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32), deterministic=True)[0]
    assert np.abs(actions - TARGET.numpy()).max() < 0.15


def test_a_gradient_step_is_that_of_plain_ppo() -> None:
    model = model_of(max_grad_norm=0.05, learning_rate=1e-2)
    model.learn(80)  # so that ratios are not all 1 and the log has its numbers
    reference = deepcopy(model.policy)
    optimizer = torch.optim.Adam(reference.parameters(), 1e-2, eps=1e-5)
    state = deepcopy(model.policy.optimizer.state_dict())
    optimizer.load_state_dict(state | {"param_groups": optimizer.state_dict()["param_groups"]})
    rows = torch.randperm(80)[:40]
    rollout, learned = model.rollout, model._learned
    found = model._step(rows)

    observations, actions = (each.flatten(0, 1)[rows] for each in (rollout.observations, rollout.actions))
    advantages = learned["advantages"][rows]
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    values, log_prob, entropy = reference.evaluate_actions(observations, actions)
    ratio = (log_prob - rollout.log_probs.flatten()[rows]).exp()
    policy_loss = -torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
    value_loss = nn.functional.mse_loss(values.flatten(), learned["returns"][rows])
    loss = policy_loss + 0.5 * value_loss - 0.01 * entropy.mean()
    optimizer.zero_grad()
    loss.backward()
    assert torch.nn.utils.clip_grad_norm_(reference.parameters(), 0.05) > 0.05
    optimizer.step()

    assert (ratio - 1).abs().max() > 0.01
    assert found["loss"].item() == pytest.approx(loss.item(), abs=1e-6)
    assert found["entropy_loss"].item() == pytest.approx(-entropy.mean().item(), abs=1e-6)
    for one, other in zip(model.policy.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


def test_a_rollout_holds_what_happened() -> None:
    model = model_of()
    model.learn(80)
    rollout = model.rollout
    torch.testing.assert_close(rollout.received, rollout.actions.clamp(-1, 1))
    torch.testing.assert_close(rollout.task_rewards, -(rollout.received - TARGET).square().sum(-1))
    assert not (rollout.terminated & rollout.truncated).any()
    assert rollout.starts[0].all()
    torch.testing.assert_close(rollout.starts[1:], rollout.finished[:-1])
    goes_on = ~rollout.finished[:-1]
    torch.testing.assert_close(rollout.observations[1:][goes_on], rollout.next_observations[:-1][goes_on])
    assert (rollout.next_observations[..., 1][rollout.truncated] == 1).all()  # the last state, not the next first one
    assert (rollout.observations[..., 1][rollout.starts] == 0).all()
    assert (rollout.next_observations[..., 0][rollout.terminated] > 2).all()
    assert model.device_env.checks == 1  # type: ignore[attr-defined]


def test_log_probabilities_are_those_of_the_policy_that_acted() -> None:
    model = model_of(n_epochs=1, learning_rate=1e-12)
    model.learn(80)
    rollout = model.rollout
    _, expected, _ = model.policy.evaluate_actions(rollout.observations.flatten(0, 1), rollout.actions.flatten(0, 1))
    torch.testing.assert_close(rollout.log_probs.flatten(), expected, atol=1e-4, rtol=1e-4)


def test_episodes_that_ended_are_logged_by_their_mean() -> None:
    model = model_of()
    model.learn(80)
    rollout = model.rollout
    assert model.ep_info_buffer is not None
    (episode,) = model.ep_info_buffer
    assert episode["r"] == pytest.approx(rollout.episode_returns[rollout.finished].mean().item(), rel=1e-5)
    assert episode["l"] == pytest.approx(rollout.episode_lengths[rollout.finished].float().mean().item(), rel=1e-5)


def test_one_seed_is_one_training() -> None:
    one, other, third = (model_of(seed=seed).learn(240) for seed in (0, 0, 1))
    assert torch.equal(weights(one), weights(other))
    assert not torch.equal(weights(one), weights(third))


def test_a_saved_training_goes_on_bit_for_bit() -> None:
    rate = {"learning_rate": KLAdaptiveLR(3e-4, 0.01)}
    one, other = model_of(**rate), model_of(seed=9, learning_rate=KLAdaptiveLR(3e-4, 0.01))
    one.learn(240)
    state, worlds, numbers = deepcopy(model_state(one)), one.device_env.state_dict(), torch.get_rng_state()
    one.learn(240, reset_num_timesteps=False)
    other.learn(80)
    load_model_state(other, state)
    other.device_env.load_state_dict(worlds)
    torch.set_rng_state(numbers)
    other.learn(240, reset_num_timesteps=False)
    assert one.num_timesteps == other.num_timesteps == 480
    assert torch.equal(weights(one), weights(other))


def test_what_it_saves_opens_as_plain_ppo_and_acts_alike(tmp_path: Path) -> None:
    model = model_of(learning_rate=KLAdaptiveLR(3e-4, 0.01))
    model.learn(160)
    with frozen_schedule(model):
        model.save(tmp_path / "policy.zip")
    again = PPO.load(tmp_path / "policy.zip", device="cpu")
    seen = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    np.testing.assert_array_equal(
        again.predict(seen, deterministic=True)[0], model.predict(seen, deterministic=True)[0]
    )
    again.set_env(aiming())
    again.learn(80)


class Pays:
    """Pays the first action number and says how often it has learned."""

    def __init__(self) -> None:
        self.updates = 0

    def update(self, batch: Transitions) -> dict[str, torch.Tensor]:
        self.updates += 1
        return {"updates": torch.tensor(float(self.updates))}

    def reward(self, batch: Transitions) -> torch.Tensor:
        return batch.actions[:, 0]

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


@pytest.mark.parametrize("adds", [False, True])
def test_sources_pay_instead_of_the_task_or_beside_it(adds: bool) -> None:
    model, source = model_of(), Pays()
    model.learn(80, Relabel({"own": WeightedReward(source, weight=lambda remaining: 2 * remaining)}, adds=adds))
    rollout = model.rollout
    expected = 2 * rollout.received[..., 0] + (rollout.task_rewards if adds else 0)
    torch.testing.assert_close(rollout.rewards, expected)
    logged = model.logger.name_to_value
    assert logged["own/updates"] == source.updates == 1
    assert logged["own/reward"] == pytest.approx(rollout.received[..., 0].mean().item(), rel=1e-5)


def test_what_a_source_paid_per_episode_is_logged() -> None:
    model, returns = model_of(), EpisodeReturns(8)
    model.learn(80, Relabel({"own": WeightedReward(Pays(), weight=3.0, returns=returns)}))
    rollout, expected = model.rollout, EpisodeReturns(8)
    arrays = (3 * rollout.received[..., 0], rollout.starts, rollout.finished)
    expected.add(*(each.numpy() for each in arrays))
    assert len(expected.finished) > 8
    assert model.logger.name_to_value["own/return"] == pytest.approx(expected.mean(), rel=1e-5)
    np.testing.assert_allclose(returns.running, expected.running, rtol=1e-5, atol=1e-6)


def test_rewards_are_scaled_as_on_the_host() -> None:
    model, scale, other = model_of(), ReturnNormalizer(0.9, 8), ReturnNormalizer(0.9, 8)
    model.learn(80, Relabel({}, scale, adds=True))
    rewards, starts = (each.float().numpy() for each in (model.rollout.task_rewards, model.rollout.starts))
    other.update(rewards, starts)
    np.testing.assert_allclose(model.rollout.rewards, other(rewards), rtol=1e-6)


def test_a_rollout_is_where_its_model_is() -> None:
    assert isinstance(rollout_of(model_of()), DeviceRollout)
    assert isinstance(rollout_of(FastPPO("MlpPolicy", aiming(), device="cpu")), BufferRollout)


def test_the_rate_follows_the_kl() -> None:
    rate = KLAdaptiveLR(3e-4, target_kl=10.0)
    model = model_of(learning_rate=rate)
    model.learn(160)
    assert float(rate.rate) == pytest.approx(3e-4 * 1.5**2, rel=1e-5)
    assert model.policy.optimizer.param_groups[0]["lr"].item() == pytest.approx(3e-4 * 1.5, rel=1e-5)


@pytest.mark.parametrize("kl", [0.001, 0.004, 0.01, 0.019, 0.1])
def test_a_rate_on_a_device_moves_as_one_on_the_host(kl: float) -> None:
    one, other = KLAdaptiveLR(9e-4, 0.01), KLAdaptiveLR(9e-4, 0.01)
    one.observe(kl, 1)
    other.observe(torch.tensor(kl), 1)
    assert isinstance(other.rate, torch.Tensor)
    assert one(1.0) == pytest.approx(other(1.0), rel=1e-6)
    assert isinstance(other.state_dict()["rate"], float)


def test_a_callback_may_stop_it() -> None:
    class Stop(BaseCallback):
        def _on_step(self) -> bool:
            return self.num_timesteps < 24

    model = model_of()
    model.learn(800, Stop())
    assert model.num_timesteps == 24


def test_numbers_that_are_lost_are_told_by_name() -> None:
    model = model_of()
    with torch.no_grad():
        model.policy.value_net.weight.fill_(torch.nan)
    with pytest.raises(InputError, match="at environment step 80"):
        model.learn(80)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"use_sde": True}, "plain Gaussian"),
        ({"target_kl": 0.01}, "no target_kl"),
        ({"clip_range_vf": 0.2}, "no clip_range_vf"),
        ({"env": "Pendulum-v1", "n_steps": 80}, "warp backend"),
    ],
)
def test_what_it_cannot_do_is_told_at_once(settings: dict[str, Any], message: str) -> None:
    chosen = {"env": aiming(), **SETTINGS, **settings}
    with pytest.raises(InputError, match=message):
        DevicePPO("MlpPolicy", **chosen)


def test_worlds_are_found_behind_their_environment_alone() -> None:
    env = aiming()
    assert isinstance(device_env_of(env), Aim)
    assert device_env_of(None) is None
