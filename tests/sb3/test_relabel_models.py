"""Relabeling the rollouts of every kind of on-policy model, in environments that note what they answered."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import TRPO, MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize
from torch import Tensor

from rlgen.data import Transitions
from rlgen.errors import InputError
from rlgen.sb3 import FastPPO, Relabel, WeightedReward
from rlgen.sb3.log import EpisodeReturns

STEPS, ENVS, GAMMA = 12, 2, 0.9


class Noted(gym.Env):
    """Observations and rewards at random, falls and time limits by the step; every action but the first is allowed."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def __init__(self, seed: int, action_space: spaces.Space):
        self.random, self.action_space = np.random.default_rng(seed), action_space
        self.steps: list[tuple] = []

    def action_masks(self) -> np.ndarray:
        return np.array([False, True, True])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        self.present = self.random.normal(size=3, loc=5).astype(np.float32)
        return self.present, {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        time = len(self.steps)
        following = self.random.normal(size=3, loc=5).astype(np.float32)
        fell, limit = time % 7 == 6, time % 5 == 4
        self.steps.append((self.present, np.array(action, np.float32).reshape(-1), following, fell, limit and not fell))
        self.present = following
        return following, float(self.random.normal()), fell, limit, {}


class Source:
    """Pays `pays` for every step; keeps what it learned from."""

    def __init__(self, pays: float):
        self.pays, self.learned = pays, []

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        self.learned.append(batch)
        return {}

    def reward(self, batch: Transitions) -> Tensor:
        return torch.full((len(batch),), self.pays)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Rollouts(BaseCallback):
    """Copies of the rollout buffer's arrays, one dictionary per rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, np.ndarray]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        names = ("rewards", "values", "advantages", "returns")
        self.seen.append({name: np.array(getattr(self.model.rollout_buffer, name)) for name in names})


BOX = spaces.Box(-0.4, 0.4, (2,), np.float32)
GRID = spaces.Box(-0.4, 0.4, (2, 2), np.float32)
CHOICE = spaces.Discrete(3)
CASES: dict[str, tuple[type, str, spaces.Space, dict[str, Any]]] = {
    "PPO": (PPO, "MlpPolicy", BOX, {}),
    "PPO, actions of two dimensions": (PPO, "MlpPolicy", GRID, {}),
    "PPO with gSDE": (PPO, "MlpPolicy", BOX, {"use_sde": True, "sde_sample_freq": 4}),
    "PPO by choice": (PPO, "MlpPolicy", CHOICE, {}),
    "lean PPO": (FastPPO, "MlpPolicy", BOX, {}),
    "A2C": (A2C, "MlpPolicy", BOX, {}),
    "A2C by choice": (A2C, "MlpPolicy", CHOICE, {}),
    "TRPO": (TRPO, "MlpPolicy", BOX, {}),
    "TRPO by choice": (TRPO, "MlpPolicy", CHOICE, {}),
    "recurrent PPO": (RecurrentPPO, "MlpLstmPolicy", BOX, {}),
    "recurrent PPO by choice": (RecurrentPPO, "MlpLstmPolicy", CHOICE, {}),
    "maskable PPO": (MaskablePPO, "MlpPolicy", CHOICE, {}),
}
every_model = pytest.mark.parametrize(("algorithm", "policy", "space", "more"), CASES.values(), ids=CASES)


def make(algorithm: type, policy: str, space: spaces.Space, more: dict[str, Any], normalized: bool = False):
    env: Any = DummyVecEnv([lambda seed=seed: Noted(seed, space) for seed in range(ENVS)])
    env = VecNormalize(env, gamma=GAMMA) if normalized else env
    settings: dict[str, Any] = {"n_steps": STEPS, "gamma": GAMMA, "gae_lambda": 0.8, "seed": 0, "device": "cpu"}
    if algorithm is not A2C:
        settings["batch_size"] = STEPS
    sizes: dict[str, Any] = {"net_arch": [4]}
    if algorithm is RecurrentPPO:
        sizes["lstm_hidden_size"] = 4
    return algorithm(policy, env, policy_kwargs=sizes, **(settings | more))


def noted(model: BaseAlgorithm) -> list[np.ndarray]:
    """What the environments noted, time-major: five arrays [T * N, …]."""
    envs = model.get_env().unwrapped.envs
    rows = [row for step in zip(*(env.steps for env in envs), strict=True) for row in step]
    return [np.stack(column) for column in zip(*rows, strict=True)]


@every_model
def test_adding_nothing_leaves_rewards_and_advantages_as_sb3_computes_them(algorithm, policy, space, more) -> None:
    """Bootstraps of time limits and of the last step included."""
    model, before, after = make(algorithm, policy, space, more), Rollouts(), Rollouts()
    model.learn(2 * STEPS * ENVS, [before, Relabel({"none": WeightedReward(Source(0.0))}, adds=True), after])
    for expected, found in zip(before.seen, after.seen, strict=True):
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


@every_model
def test_a_bonus_is_added_to_every_reward(algorithm, policy, space, more) -> None:
    source, before, after = Source(100.0), Rollouts(), Rollouts()
    model = make(algorithm, policy, space, more)
    model.learn(2 * STEPS * ENVS, [before, Relabel({"some": WeightedReward(source, 2.0)}, adds=True), after])
    for expected, found in zip(before.seen, after.seen, strict=True):
        np.testing.assert_allclose(found["rewards"], expected["rewards"] + 200, rtol=1e-5)
    columns = noted(model)
    for number, batch in enumerate(source.learned):
        rows = slice(number * STEPS * ENVS, (number + 1) * STEPS * ENVS)
        for tensor, column in zip(batch.tensors(), columns, strict=True):
            np.testing.assert_allclose(tensor.numpy(), column[rows], rtol=1e-6)


def test_a_second_training_of_a_model_begins_with_the_rewards_of_the_task() -> None:
    model = make(*CASES["PPO"])
    for _ in range(2):
        before, after = Rollouts(), Rollouts()
        model.learn(STEPS * ENVS, [before, Relabel({"some": WeightedReward(Source(100.0))}, adds=True), after])
        np.testing.assert_allclose(after.seen[0]["rewards"], before.seen[0]["rewards"] + 100, rtol=1e-5)


@pytest.mark.parametrize("case", ["PPO", "lean PPO", "recurrent PPO"])
def test_under_vecnormalize_sources_see_the_environments_own_observations(case: str) -> None:
    """The policy learns from normalized observations and rewards; bonuses are added to the normalized rewards."""
    source, before, after = Source(100.0), Rollouts(), Rollouts()
    model = make(*CASES[case], normalized=True)
    model.learn(3 * STEPS * ENVS, [before, Relabel({"some": WeightedReward(source)}, adds=True), after])
    columns = noted(model)
    assert np.mean(columns[0]) > 4
    assert np.abs(model.rollout_buffer.observations).max() < 4
    for number, batch in enumerate(source.learned):
        rows = slice(number * STEPS * ENVS, (number + 1) * STEPS * ENVS)
        for tensor, column in zip(batch.tensors(), columns, strict=True):
            # The last observation of an episode has been normalized and back again.
            np.testing.assert_allclose(tensor.numpy(), column[rows], rtol=1e-5)
    for expected, found in zip(before.seen, after.seen, strict=True):
        np.testing.assert_allclose(found["rewards"], expected["rewards"] + 100, rtol=1e-5)
        np.testing.assert_allclose(found["rewards"] - 100, expected["rewards"], atol=1e-4)


def test_a_normalizer_below_another_wrapper_is_refused() -> None:
    env = VecFrameStack(VecNormalize(DummyVecEnv([lambda: Noted(0, BOX)])), 2)
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, device="cpu")
    with pytest.raises(InputError, match="outermost"):
        model.learn(8, Relabel({"some": WeightedReward(Source(1.0))}, adds=True))


def test_the_weighted_reward_per_episode_is_in_the_log() -> None:
    """Episodes end every 5 and every 7 steps: of 24 steps 5, 2, 3, 4, 1, 5 and 1; the last 3 go on."""
    returns, model = EpisodeReturns(ENVS), make(*CASES["PPO"])
    paid = WeightedReward(Source(1.0), 0.5, returns)
    model.learn(2 * STEPS * ENVS, Relabel({"some": paid}, adds=True), log_interval=10)
    lengths = [5, 5, 2, 2, 3, 3, 4, 4, 1, 1, 5, 5, 1, 1]
    assert list(returns.finished) == [0.5 * length for length in lengths]
    assert model.logger.name_to_value["some/return"] == pytest.approx(0.5 * np.mean(lengths))
    assert model.logger.name_to_value["some/reward"] == 1.0
    model.learn(STEPS * ENVS, Relabel({"some": paid}, adds=True))
    assert list(returns.finished)[-1] <= 0.5 * 5, "the episodes that a reset gave up do not count"
