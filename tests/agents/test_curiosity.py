"""Curiosity on Stable-Baselines3 models."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib import ARS
from stable_baselines3 import A2C, DQN, PPO, SAC, HerReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.env_util import make_vec_env

from rlgen.agents import RND, VIME
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.data import Transitions
from rlgen.data.observations import each_entry
from rlgen.data.spaces import kinds_of, rows_of
from rlgen.errors import InputError
from rlgen.rewards import InformationGainConfig
from rlgen.runs.state_tree import decode, encode
from rlgen.sb3.image_features import extractor_for, policy_name

from . import tasks  # noqa: F401 (registers the grids)

QUICK = InformationGainConfig(updates_per_rollout=20, batch_size=32, hidden=(8,))


class Rewards(BaseCallback):
    """What the learner is paid in every rollout, [T, N] each, and the bonus that was logged."""

    def __init__(self, name: str = "vime") -> None:
        super().__init__()
        self.name, self.paid, self.bonus = name, [], []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.paid.append(self.model.rollout_buffer.rewards.copy())
        self.bonus.append(self.logger.name_to_value[f"{self.name}/reward"])


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
    assert source.unit.merged == 2


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
        (
            lambda: SAC("MultiInputPolicy", Goals(), replay_buffer_class=HerReplayBuffer, buffer_size=50),
            "samples as SB3's do; got a HerReplayBuffer",
        ),
        (lambda: PPO("MlpPolicy", Bits(), device="cpu"), "Box or Discrete"),
    ],
    ids=["neither on-policy nor off-policy", "goals", "bits"],
)
@pytest.mark.filterwarnings("ignore:.*GPU")
def test_what_it_cannot_work_with_is_refused_at_the_start(make, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make().learn(8, callback=VIME())


@pytest.mark.parametrize("name", CURIOSITIES)
def test_pictures_are_explored_by_every_curiosity(name: str) -> None:
    model = PPO("CnnPolicy", Images(), n_steps=8, batch_size=8, n_epochs=1, device="cpu")
    curiosity, seen = CURIOSITIES[name](), Rewards(name)
    model.learn(16, CallbackList([curiosity, seen]))
    assert curiosity.shape.observation_size == 64
    assert seen.bonus[-1] > 0


@pytest.mark.parametrize("env_id", ["test/GridImage-v0", "test/GridDictionary-v0", "FrozenLake-v1"])
@pytest.mark.parametrize("kind", [PPO, DQN])
@pytest.mark.filterwarnings("ignore:.*GPU")
def test_grids_dictionaries_and_numbers_are_explored(kind: Any, env_id: str) -> None:
    settings = {"n_steps": 8} if kind is PPO else {"learning_starts": 4, "buffer_size": 100}
    env = make_vec_env(env_id, 2, seed=0)
    policy = {"features_extractor_class": extractor_for(env.observation_space)} if "Grid" in env_id else {}
    model = kind(policy_name(env.observation_space), env, batch_size=8, policy_kwargs=policy, device="cpu", **settings)
    vime = VIME(QUICK, update_every=16)
    model.learn(48, callback=vime)
    assert vime.source.source.unit.merged >= 2
    state = decode(*encode(vime.state_dict()))
    copy = VIME(QUICK, update_every=16)
    copy.begin(model)
    copy.load_state_dict(state)
    batch = random_batch(env.observation_space)
    rewards = [seeded(each.source.reward, batch) for each in (vime, copy)]
    assert torch.equal(*rewards)
    assert rewards[0].max() > 0


def seeded(reward: Any, batch: Transitions) -> torch.Tensor:
    """The reward for the weights of one seed."""
    torch.manual_seed(0)
    return reward(batch)


def random_batch(space: gym.Space) -> Transitions:
    """Two transitions with any observations."""
    seen = [rows_of(batched([space.sample(), space.sample()]), kinds_of(space)) for _ in range(2)]
    before, after = (each_entry(torch.as_tensor, each) for each in seen)
    never = torch.zeros(2, dtype=torch.bool)
    return Transitions(before, torch.zeros(2, 1), after, never, never)


def batched(observations: list[Any]) -> Any:
    """Observations of two environments as a vector environment returns them."""
    return each_entry(lambda *arrays: np.stack(arrays), *observations)


def test_features_of_pictures_never_change_and_tell_them_apart() -> None:
    model = PPO("CnnPolicy", Images(), n_steps=8, batch_size=8, n_epochs=1, device="cpu")
    rnd = RND()
    rnd.begin(model)
    pictures = torch.randint(256, (600, 3, 36, 36), dtype=torch.uint8)
    before, state = rnd.source.view(pictures), torch.get_rng_state()
    rnd.begin(model)
    assert torch.equal(torch.get_rng_state(), state), "to begin again draws nothing, or a resumed run would differ"
    model.learn(16, callback=rnd)
    assert torch.equal(rnd.source.view(pictures), before)
    assert before.shape == (600, 64)
    assert before.std(0).min() > 0.01
    torch.testing.assert_close(rnd.source.view(pictures.movedim(1, -1)[500:]), before[500:])


@pytest.mark.parametrize("kind", [PPO, SAC])
def test_windows_are_explored_flat(kind: Any) -> None:
    env = gym.wrappers.FrameStackObservation(gym.make("Pendulum-v1"), 2)
    model = kind("MlpPolicy", env, batch_size=8, device="cpu", **({"n_steps": 8} if kind is PPO else {}))
    vime = VIME(QUICK, update_every=8)
    model.learn(16, callback=vime)
    assert vime.shape.observation_size == 6
    assert vime.source.unit.merged == 2


def test_another_task_than_the_one_it_began_with_is_refused() -> None:
    vime = VIME(QUICK)
    learn(PPO, "Pendulum-v1", vime, 64, batch_size=32)
    with pytest.raises(InputError, match="use another VIME"):
        learn(PPO, "CartPole-v1", vime, 64, batch_size=32)


@pytest.mark.parametrize("kind", list(CURIOSITIES.values()))
@pytest.mark.parametrize("algorithm", [PPO, SAC])
def test_a_curiosity_sees_the_numbers_that_are_listed(kind: Any, algorithm: Any) -> None:
    if kind.needs_rollouts() and algorithm is SAC:
        pytest.skip("for on-policy models")
    curiosity = kind(observed=[2, 0], update_every=8)
    settings = {"n_steps": 8} if algorithm is PPO else {}
    model = algorithm("MlpPolicy", "Pendulum-v1", batch_size=8, device="cpu", **settings)
    model.learn(16, callback=curiosity)
    assert curiosity.shape.observation_size == 2
    assert curiosity.source.view.numbers.tolist() == [2, 0]


def test_all_numbers_are_seen_unless_some_are_listed() -> None:
    vime = VIME(QUICK)
    learn(PPO, "Pendulum-v1", vime, 64, batch_size=32)
    assert vime.shape.observation_size == 3


def test_numbers_that_an_observation_does_not_have_are_not_observed() -> None:
    model = PPO("MlpPolicy", "FrozenLake-v1", n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(InputError, match="an observation of plain numbers"):
        model.learn(8, callback=VIME(QUICK, observed=[0]))
    with pytest.raises(InputError, match="an observation of 3, counted from 0"):
        learn(PPO, "Pendulum-v1", VIME(QUICK, observed=[3]), 64, batch_size=32)


@pytest.mark.parametrize("wrong", [{"eta": -1.0}, {"eta": float("inf")}, {"final_eta": 1.5}])
def test_settings_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        VIME(**wrong)


def test_eta_may_fall_over_the_training() -> None:
    seen = learn(PPO, "CartPole-v1", VIME(QUICK, eta=0.5, final_eta=0.5), batch_size=32)
    shares = [(paid.mean() - 1) / bonus for paid, bonus in zip(seen.paid[1:], seen.bonus[1:], strict=True)]
    np.testing.assert_allclose(shares, [0.5 * (1 - 1 / 6), 0.5 * (1 - 2 / 6)], rtol=1e-4)


@pytest.mark.parametrize("kind", CURIOSITIES.values())
def test_an_empty_list_of_observed_numbers_is_refused(kind: Any) -> None:
    with pytest.raises(InputError, match="leave observed out"):
        kind(observed=[])
