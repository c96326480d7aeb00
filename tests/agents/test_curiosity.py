"""Curiosity on Stable-Baselines3 models."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import ARS
from stable_baselines3 import A2C, PPO, SAC, HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env

from rlgen.agents import VIME
from rlgen.errors import InputError
from rlgen.rewards import InformationGainConfig

QUICK = InformationGainConfig(updates_per_rollout=20, batch_size=32, hidden=(8,))


class Rewards(BaseCallback):
    """What the learner is paid in every rollout, [T, N] each, and the bonus that was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.paid, self.bonus = [], []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.paid.append(self.model.rollout_buffer.rewards.copy())
        self.bonus.append(self.logger.name_to_value["vime/reward"])


def learn(algorithm: type, env_id: str, vime: VIME, steps: int = 192, **settings) -> Rewards:
    env = make_vec_env(env_id, 2, seed=0)
    seen = Rewards()
    model = algorithm("MlpPolicy", env, n_steps=32, seed=0, device="cpu", **settings)
    model.learn(steps, CallbackList([vime, seen]))
    env.close()
    return seen


@pytest.mark.parametrize(
    ("algorithm", "env_id", "settings"),
    [(PPO, "Pendulum-v1", {"batch_size": 32}), (A2C, "Pendulum-v1", {}), (PPO, "CartPole-v1", {"batch_size": 32})],
)
def test_any_on_policy_model_is_paid_for_what_it_learns(algorithm: type, env_id: str, settings: dict) -> None:
    seen = learn(algorithm, env_id, VIME(QUICK, eta=0.5), **settings)
    assert seen.bonus[0] == 0
    assert all(bonus > 0 for bonus in seen.bonus[1:])


def test_the_bonus_joins_the_reward_of_the_task() -> None:
    """CartPole pays 1 for every step."""
    seen = learn(PPO, "CartPole-v1", VIME(QUICK, eta=0.5), batch_size=32)
    np.testing.assert_array_equal(seen.paid[0], np.ones((32, 2), np.float32))
    for paid, bonus in zip(seen.paid[1:], seen.bonus[1:], strict=True):
        assert paid.mean() == pytest.approx(1 + 0.5 * bonus, rel=1e-5)
        assert paid.min() > 1


def test_without_eta_the_learner_is_paid_by_the_task_alone() -> None:
    seen = learn(PPO, "CartPole-v1", VIME(QUICK, eta=0.0), batch_size=32)
    np.testing.assert_array_equal(seen.paid, np.ones((3, 32, 2), np.float32))
    assert seen.bonus[-1] > 0


def test_a_second_learn_goes_on_with_the_same_curiosity() -> None:
    vime = VIME(QUICK)
    learn(PPO, "Pendulum-v1", vime, 64, batch_size=32)
    source = vime.source
    learn(PPO, "Pendulum-v1", vime, 64, batch_size=32)
    assert vime.source is source
    assert source.updates == 2


class Goals(gym.Env):
    """A task of goals, as hindsight relabeling wants it."""

    place = gym.spaces.Box(-1, 1, (2,), np.float32)
    observation_space = gym.spaces.Dict({"observation": place, "achieved_goal": place, "desired_goal": place})
    action_space = place

    def reset(self, **kwargs):
        return self.observation_space.sample(), {}

    def compute_reward(self, *goals) -> float:
        return 0.0


class Bits(gym.Env):
    """Takes several yes or no at once."""

    observation_space = gym.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gym.spaces.MultiBinary(2)

    def reset(self, **kwargs):
        return self.observation_space.sample(), {}


class Images(gym.Env):
    """Shows pictures."""

    observation_space = gym.spaces.Box(0, 255, (36, 36, 3), np.uint8)
    action_space = gym.spaces.Discrete(2)

    def reset(self, **kwargs):
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ARS("LinearPolicy", gym.make("CartPole-v1"), device="cpu"), "on-policy or off-policy"),
        (lambda: PPO("MlpPolicy", gym.make("FrozenLake-v1"), device="cpu"), "flat observations"),
        (
            lambda: PPO("CnnPolicy", Images(), device="cpu"),
            r"flat observations.*; got Box\(0, 255, \(3, 36, 36\), uint8\); wrap with FlattenObservation$",
        ),
        (lambda: SAC("MultiInputPolicy", Goals(), replay_buffer_class=HerReplayBuffer, buffer_size=50), "without HER"),
        (lambda: PPO("MlpPolicy", Bits(), device="cpu"), "Box or Discrete"),
    ],
    ids=["neither on-policy nor off-policy", "no Box", "images", "goals", "bits"],
)
@pytest.mark.filterwarnings("ignore:.*GPU")
def test_what_it_cannot_work_with_is_refused_at_the_start(make, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make().learn(8, callback=VIME())


def test_pictures_that_were_flattened_as_the_error_says_are_explored() -> None:
    env = gym.wrappers.FlattenObservation(Images())
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, n_epochs=1, device="cpu")
    vime = VIME(QUICK)
    model.learn(16, callback=vime)
    assert vime.source.updates == 2


@pytest.mark.parametrize("kind", [PPO, SAC])
def test_windows_are_explored_flat(kind: Any) -> None:
    env = gym.wrappers.FrameStackObservation(gym.make("Pendulum-v1"), 2)
    model = kind("MlpPolicy", env, batch_size=8, device="cpu", **({"n_steps": 8} if kind is PPO else {}))
    vime = VIME(QUICK, update_every=8)
    model.learn(16, callback=vime)
    assert vime.shape.observation_size == 6
    assert vime.source.updates == 2


def test_another_task_than_the_one_it_began_with_is_refused() -> None:
    vime = VIME(QUICK)
    learn(PPO, "Pendulum-v1", vime, 64, batch_size=32)
    with pytest.raises(InputError, match="use another VIME"):
        learn(PPO, "CartPole-v1", vime, 64, batch_size=32)


@pytest.mark.parametrize("wrong", [{"eta": -1.0}, {"eta": float("inf")}, {"final_eta": 1.5}])
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        VIME(**wrong)


def test_eta_may_fall_over_the_training() -> None:
    seen = learn(PPO, "CartPole-v1", VIME(QUICK, eta=0.5, final_eta=0.5), batch_size=32)
    shares = [(paid.mean() - 1) / bonus for paid, bonus in zip(seen.paid[1:], seen.bonus[1:], strict=True)]
    np.testing.assert_allclose(shares, [0.5 * (1 - 1 / 6), 0.5 * (1 - 2 / 6)], rtol=1e-4)
