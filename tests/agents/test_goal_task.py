"""Episodes that the expert ends early: imitation keeps a goal that ends the episode, and lives as long as a clumsy
expert does."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from rlgen.agents import GAIL, SQIL
from rlgen.agents.bc_config import BCConfig
from rlgen.agents.gail import GAILConfig
from rlgen.data.demonstrations import Demonstrations
from rlgen.rewards.adversarial import AdversarialConfig
from rlgen.rewards.early_ends import share_ended_by_task
from rlgen.runs.evaluation import evaluate
from rlgen.sb3.features import normalized_policy

from .tasks import Balancer


class Goal(gym.Env):
    """A point that starts at a distance of 1 from the origin; within 0.15 of it the episode ends."""

    observation_space, action_space = spaces.Box(-5, 5, (2,)), spaces.Box(-1, 1, (2,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        angle = self.np_random.uniform(0, 2 * np.pi)
        self.place, self.steps = np.array([np.cos(angle), np.sin(angle)]), 0
        return self.place.astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.place, self.steps = np.clip(self.place + 0.1 * np.clip(action, -1, 1), -5, 5), self.steps + 1
        reached = bool(np.linalg.norm(self.place) < 0.15)
        return self.place.astype(np.float32), -1.0, reached, self.steps >= 100, {}


class Expert:
    """Walks straight to the origin."""

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        return (-observation / np.linalg.norm(observation, axis=1, keepdims=True)).astype(np.float32), None


def places(n: int) -> VecEnv:
    return DummyVecEnv([lambda: Monitor(Goal())] * n)


@pytest.mark.parametrize(("absorbing", "least", "most"), [("auto", 1.0, 1.0), ("off", 0.0, 0.5)])
def test_imitation_keeps_a_goal_that_ends_the_episode_thanks_to_absorbing_states(
    absorbing: Literal["auto", "off"], least: float, most: float
) -> None:
    demonstrations = Demonstrations.record(Expert(), places(8), 40)
    policy = normalized_policy([32, 32])
    model = PPO("MlpPolicy", places(8), 1e-3, n_steps=128, batch_size=256, seed=0, policy_kwargs=policy)
    config = GAILConfig(
        bc=BCConfig(max_updates=200),
        average=0,
        discriminator=AdversarialConfig(absorbing=absorbing, hidden=(32, 32), batch_size=256),
    )
    gail = GAIL(model, demonstrations, config)
    gail.warm_up()
    assert reached(model) == 1, "the clone"
    gail.learn(16_000)
    assert least <= reached(model) <= most


def test_sqil_keeps_such_a_goal_with_a_fixed_entropy_coefficient() -> None:
    """With the target entropy in the absorbing state, which a fixed coefficient does not pursue, none reached it."""
    demonstrations = Demonstrations.record(Expert(), places(8), 40)
    settings: dict[str, Any] = {"policy_kwargs": {"net_arch": [32, 32]}, "batch_size": 128, "device": "cpu"}
    model = SAC("MlpPolicy", places(4), 3e-3, ent_coef=1.0, gamma=0.95, seed=0, **settings)
    SQIL(model, demonstrations).learn(3000)
    assert reached(model) == 1


class Clumsy(Balancer):
    """Balances CartPole, but does the opposite in 35 % of the steps, so that the pole falls after 60 steps or so."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        actions, _ = super().predict(observation)
        return np.where(self.rng.random(len(actions)) < 0.35, 1 - actions, actions), None


def test_an_expert_that_falls_is_imitated_in_how_long_it_stands() -> None:
    demonstrations = Demonstrations.record(Clumsy(), make_vec_env("CartPole-v1", 8, seed=3), 30)
    assert demonstrations.terminated.sum() == 30
    model = PPO("MlpPolicy", make_vec_env("CartPole-v1", 8, seed=3), n_steps=128, batch_size=256, seed=0)
    GAIL(model, demonstrations, GAILConfig(warm_start=False)).learn(24_000)
    stood = evaluate(model, make_vec_env("CartPole-v1", 8), 20, seed=9, label=None).returns.mean()
    assert 0.5 < stood / demonstrations.episode_returns.mean() < 2


def reached(model: PPO | SAC) -> float:
    """Share of the episodes that reach the goal."""
    return float(evaluate(model, places(8), 40, seed=1, label=None).terminated.mean())


def test_a_subsampled_file_still_knows_which_episodes_the_task_ended(tmp_path: Path) -> None:
    demonstrations = Demonstrations.record(Expert(), places(8), 8)
    assert len(set(demonstrations.episode_lengths)) == 1, "lengths say nothing here"
    assert share_ended_by_task(demonstrations) == 1
    assert share_ended_by_task(demonstrations.every(3)) == 1
    assert share_ended_by_task(demonstrations.every(3).first(2)) == 1
    demonstrations.every(3).save(tmp_path / "every.npz")
    kept = Demonstrations.load(tmp_path / "every.npz")
    assert share_ended_by_task(kept) == 1
    foreign = replace(kept, metadata={})
    assert share_ended_by_task(foreign) == len(set(kept.episode[kept.terminated])) / 8
