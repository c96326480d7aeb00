"""InfoGAIL where two experts go different ways from the same place: each code must become one of them."""

import copy
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import PPO, SAC

from rlgen.agents import GAIL, BCConfig, GAILConfig, InfoGAIL, InfoGAILConfig, LearnerConfig
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations, Episode
from rlgen.envs import make_vec
from rlgen.errors import InputError
from rlgen.rewards import AdversarialConfig, CodePosteriorConfig
from rlgen.sb3 import LatentCode
from rlgen.system.rng import rng_state, set_rng_state

STEPS, FURTHEST = 8, 0.4


class Fork(gym.Env):
    """A point on a line near 0, p' = p + action + 0.05 · noise, for eight steps."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        self.action_space = spaces.Box(-FURTHEST, FURTHEST, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.place = 0.1 * self.np_random.normal(size=1)
        return self.place.astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.place = self.place + action + 0.05 * self.np_random.normal(size=1)
        return self.place.astype(np.float32), 0.0, False, False, {}


class DiscreteFork(Fork):
    """The same with three actions: the farthest to the left, none, the farthest to the right."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Discrete(3)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return super().step(np.array([FURTHEST * (int(action) - 1)]))


gym.register("Fork-v0", Fork, max_episode_steps=STEPS)
gym.register("DiscreteFork-v0", DiscreteFork, max_episode_steps=STEPS)


def demonstrated(discrete: bool) -> Demonstrations:
    """Eight episodes of an expert who goes to 1 and eight of one who goes to -1, with nothing to tell them by."""
    random, episodes = np.random.default_rng(0), []
    for goal in [1.0, -1.0] * 8:
        places, actions = [0.1 * random.normal(size=1)], []
        for _ in range(STEPS):
            move = np.clip(goal - places[-1], -FURTHEST, FURTHEST)
            chosen = int(np.round(move[0] / FURTHEST)) + 1
            actions.append(chosen if discrete else move)
            moved = FURTHEST * (chosen - 1) if discrete else move
            places.append(places[-1] + moved + 0.05 * random.normal(size=1))
        episodes.append(Episode(observations=np.array(places), actions=np.array(actions)))
    return Demonstrations.from_episodes(episodes)


@pytest.fixture(scope="module")
def mixture() -> Demonstrations:
    return demonstrated(discrete=False)


def fork(n_envs: int = 8, seed: int = 0, code: int | None = None, env_id: str = "Fork-v0") -> LatentCode:
    return LatentCode(make_vec(env_id, n_envs, seed, backend="gymnasium"), codes=2, code=code, seed=seed)


CONFIG = InfoGAILConfig(
    discriminator=AdversarialConfig(hidden=(32,), learning_rate=1e-2, batch_size=256),
    posterior=CodePosteriorConfig(hidden=(32,), learning_rate=1e-2, batch_size=256),
)
LEARNER = LearnerConfig(
    n_steps=64,
    batch_size=128,
    n_epochs=5,
    learning_rate=1e-3,
    gamma=0.9,
    hidden=(32, 32),
    initial_std=0.34,
    schedule="constant",
)


def ends(model: PPO, code: int, env_id: str) -> np.ndarray:
    """Where 40 episodes under `code` end, [40]."""
    env = fork(40, seed=500, code=code, env_id=env_id)
    observations = env.reset()
    for _ in range(STEPS):
        observations, _, _, infos = env.step(model.predict(observations, deterministic=True)[0])
    return np.array([info["terminal_observation"][0] for info in infos])


@pytest.mark.parametrize("env_id", ["Fork-v0", "DiscreteFork-v0"])
def test_each_code_becomes_one_of_two_experts(env_id: str) -> None:
    torch.manual_seed(0)
    model = make_model(LEARNER, fork(env_id=env_id), seed=0)
    agent = InfoGAIL(model, demonstrated(discrete=env_id == "DiscreteFork-v0"), CONFIG).learn(15_000)
    assert agent.posterior.network[0].in_features == (4 if env_id == "DiscreteFork-v0" else 2), "actions one-hot"
    places = np.array([ends(model, code, env_id) for code in range(2)])
    goals = np.array([[1.0], [-1.0]]) if places[0].mean() > 0 else np.array([[-1.0], [1.0]])  # the better assignment
    assert (np.sign(places) == goals).mean() == 1.0
    assert np.abs(places - goals).mean() < FURTHEST


SMALL = replace(
    CONFIG,
    discriminator=AdversarialConfig(hidden=(8,), updates_per_rollout=2, batch_size=32),
    posterior=CodePosteriorConfig(hidden=(8,), updates_per_rollout=2, batch_size=32),
)
CAR = "rlgen/SparseMountainCar-v0"


@pytest.fixture(scope="module")
def car_demonstrations() -> Demonstrations:
    random = np.random.default_rng(0)
    episodes = [Episode(observations=random.normal(size=(9, 2)), actions=random.uniform(-1, 1, (8, 1)))] * 2
    return Demonstrations.from_episodes(episodes)


def small(demonstrations: Demonstrations, config: InfoGAILConfig = SMALL, seed: int = 0) -> InfoGAIL:
    """A plain PPO on an environment that can be saved."""
    env = LatentCode(make_vec(CAR, 2, seed, env_kwargs={"max_episode_steps": 7}), 2, seed=seed)
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=16, n_epochs=2, seed=seed, device="cpu")
    return InfoGAIL(model, demonstrations, config)


def weights(agent: InfoGAIL) -> torch.Tensor:
    parts = [agent.model.policy, agent.source.network, agent.posterior.network]
    return torch.cat([value.detach().flatten() for part in parts for value in part.parameters()]).clone()


def test_neither_the_discriminator_nor_the_posterior_sees_the_code(car_demonstrations: Demonstrations) -> None:
    agent = small(car_demonstrations)
    assert agent.model.observation_space.shape == (4,)
    assert (agent.source.network[0].in_features, agent.posterior.network[0].in_features) == (3, 3)
    agent.learn(64, log_interval=100)
    logged = agent.model.logger.name_to_value
    assert {"gail/reward", "code/reward", "code/accuracy"} <= set(logged)


def test_a_saved_training_goes_on_bit_for_bit(car_demonstrations: Demonstrations) -> None:
    whole = small(car_demonstrations).learn(64)
    state, env = copy.deepcopy(whole.state_dict()), copy.deepcopy(whole.model.get_env().state_dict())
    random = rng_state()
    whole.learn(96)
    parts = small(car_demonstrations, seed=9)
    parts.load_state_dict(state)
    parts.model.get_env().load_state_dict(env)
    set_rng_state(random)
    parts.learn(96)
    assert torch.equal(weights(parts), weights(whole))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(car_demonstrations: Demonstrations) -> None:
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(weights(small(car_demonstrations, seed=seed).learn(64)))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_a_warm_start_clones_for_all_codes_alike(mixture: Demonstrations) -> None:
    upwards = replace(mixture, actions=np.full_like(mixture.actions, 0.3))
    model = make_model(LEARNER, fork(), seed=0)
    bc = BCConfig(max_updates=300, check_every=100, learning_rate=3e-3, average=0.9)
    InfoGAIL(model, upwards, replace(CONFIG, warm_start=True, bc=bc)).warm_up()
    observations = np.concatenate([np.zeros((2, 1)), np.eye(2)], -1).astype(np.float32)
    np.testing.assert_allclose(model.predict(observations, deterministic=True)[0], 0.3, atol=0.05)


def test_a_saved_policy_opens_in_plain_sb3_and_acts_alike(car_demonstrations: Demonstrations, tmp_path: Path) -> None:
    model = small(car_demonstrations).learn(32).model
    model.save(tmp_path / "policy.zip")
    observations = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    loaded = PPO.load(tmp_path / "policy.zip", device="cpu").predict(observations, deterministic=True)[0]
    np.testing.assert_array_equal(loaded, model.predict(observations, deterministic=True)[0])


def test_an_environment_without_codes_and_plain_gail_with_them_are_refused(car_demonstrations: Demonstrations) -> None:
    with pytest.raises(InputError, match="LatentCode"):
        InfoGAIL(PPO("MlpPolicy", make_vec(CAR, 2), n_steps=16, batch_size=16, device="cpu"), car_demonstrations)
    with pytest.raises(InputError, match="'observations'"):
        GAIL(small(car_demonstrations).model, car_demonstrations)


def test_the_settings_of_plain_gail_are_refused(car_demonstrations: Demonstrations) -> None:
    with pytest.raises(InputError, match="settings of InfoGAIL"):
        InfoGAIL(small(car_demonstrations).model, car_demonstrations, GAILConfig())


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(InputError, match="information"):
        InfoGAILConfig(information=-0.1)


def test_an_off_policy_model_is_refused(point_env, point_demonstrations) -> None:
    model = SAC("MlpPolicy", LatentCode(point_env(1), codes=2), device="cpu", buffer_size=10)
    with pytest.raises(InputError, match="on-policy"):
        InfoGAIL(model, point_demonstrations)
