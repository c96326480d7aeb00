from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlgen.data import Demonstrations
from rlgen.errors import InputError


class Corridor(gym.Env):
    """Walks a given number of steps, then falls or meets the time limit; remembers the actions it received."""

    def __init__(self, number: int, length: int, falls: bool):
        self.number, self.length, self.falls = number, length, falls
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (4,))
        self.action_space = gym.spaces.Box(-0.4, 0.4, (2,))
        self.received: list[np.ndarray] = []
        self.episodes = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.t, self.episodes = 0, self.episodes + 1
        return self.observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.t += 1
        self.received.append(action.copy())
        end = self.t == self.length
        return self.observation(), float(self.t), end and self.falls, end and not self.falls, {}

    def observation(self) -> np.ndarray:
        return np.array([self.number, self.episodes, self.t, self.np_random.normal()], np.float32)


class Wild:
    """Samples actions far beyond the action space with torch's generator."""

    def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
        scale = 0.0 if deterministic else 2.0
        return (0.1 + scale * torch.randn(len(observation), 2)).numpy(), None


def corridors() -> DummyVecEnv:
    """A quick faller and a slow one that only the time limit stops."""
    return DummyVecEnv([lambda: Corridor(0, 2, True), lambda: Corridor(1, 7, False)])


def test_short_episodes_are_not_favored() -> None:
    recorded = Demonstrations.record(Wild(), corridors(), episodes=6)
    assert recorded.episode_lengths.tolist() == [2, 7, 2, 7, 2, 7]


def test_an_odd_number_of_episodes_gives_the_first_environments_one_more() -> None:
    assert Demonstrations.record(Wild(), corridors(), episodes=3).episode_lengths.tolist() == [2, 7, 2]
    assert Demonstrations.record(Wild(), corridors(), episodes=1).episode_lengths.tolist() == [2]


def test_falls_and_time_limits_stay_apart_in_a_recording() -> None:
    recorded = Demonstrations.record(Wild(), corridors(), episodes=4)
    assert recorded.episode[recorded.terminated].tolist() == [0, 2]
    assert recorded.episode[recorded.truncated].tolist() == [1, 3]


def test_the_last_next_observation_is_the_terminal_one() -> None:
    recorded = Demonstrations.record(Wild(), corridors(), episodes=4)
    assert (recorded.next_observations[:, 2] == recorded.observations[:, 2] + 1).all()
    assert (recorded.next_observations[:, 1] == recorded.observations[:, 1]).all()
    assert recorded.next_observations[recorded.truncated, 2].tolist() == [7, 7]


def test_actions_are_stored_as_the_environment_received_them() -> None:
    env = corridors()
    recorded = Demonstrations.record(Wild(), env, episodes=4, deterministic=False)
    assert abs(recorded.actions).max() == np.float32(0.4)
    for number in (0, 1):
        rows = recorded.actions[recorded.observations[:, 0] == number]
        assert np.array_equal(rows, np.stack(env.envs[number].received[: len(rows)]))  # type: ignore[attr-defined]


def test_returns_are_sums_of_the_task_s_rewards() -> None:
    recorded = Demonstrations.record(Wild(), corridors(), episodes=2)
    assert recorded.episode_returns is not None
    assert recorded.episode_returns.tolist() == [1 + 2, 7 * 8 / 2]


def test_the_same_seed_records_the_same_and_leaves_torch_s_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    first, again, other = (
        Demonstrations.record(Wild(), corridors(), 4, seed=seed, deterministic=False) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.randn(3), expected)
    assert np.array_equal(first.observations, again.observations)
    assert np.array_equal(first.actions, again.actions)
    assert not np.array_equal(first.observations, other.observations)
    assert not np.array_equal(first.actions, other.actions)


def test_a_recording_says_how_it_was_made() -> None:
    env = DummyVecEnv([lambda: gym.make("Pendulum-v1", max_episode_steps=3)])

    class Still:
        def predict(self, observation: np.ndarray, *, deterministic: bool = True) -> tuple[np.ndarray, None]:
            return np.zeros((1, 1)), None

    recorded = Demonstrations.record(Still(), env, 1, seed=3)
    assert (recorded.env_id, recorded.metadata["seed"], recorded.metadata["action_high"]) == ("Pendulum-v1", 3, [2.0])
    assert {"rlgen", "gymnasium", "numpy"} <= recorded.metadata["versions"].keys()
    assert recorded.truncated.tolist() == [False, False, True]


def test_a_normalizing_environment_is_refused() -> None:
    with pytest.raises(InputError, match="raw observations; got a VecNormalize"):
        Demonstrations.record(Wild(), VecNormalize(corridors()), 2)


def test_no_episodes_are_refused() -> None:
    with pytest.raises(InputError, match="at least one episode to record; got 0"):
        Demonstrations.record(Wild(), corridors(), 0)


def test_windows_are_recorded_flat() -> None:
    class Window(gym.Env):
        observation_space, action_space = spaces.Box(-9, 9, (2, 3)), spaces.Box(-1, 1, (1,))

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            self.t = 0
            return np.arange(6, dtype=np.float32).reshape(2, 3), {}

        def step(self, action: Any) -> Any:
            self.t += 1
            return np.full((2, 3), self.t, np.float32), 0.0, False, self.t == 3, {}

    env = DummyVecEnv([Window])
    still = SimpleNamespace(predict=lambda seen, **_: (np.zeros((len(seen), 1)), None))
    found = Demonstrations.record(still, env, episodes=1)
    assert found.observations[0].tolist() == [0, 1, 2, 3, 4, 5]
    found.validate(env)


def test_a_recording_notes_the_constructor_s_options_and_bounds_that_json_can_hold() -> None:
    env = DummyVecEnv([lambda: gym.make("Pendulum-v1", g=5.0, max_episode_steps=3)])
    still = SimpleNamespace(predict=lambda seen, **_: (np.zeros((len(seen), 1)), None))
    noted = Demonstrations.record(still, env, episodes=1).metadata
    assert noted["env_kwargs"] == {"g": 5.0}
    env.action_space = spaces.Box(-np.inf, np.inf, (1,))
    assert "action_low" not in Demonstrations.record(still, env, episodes=1).metadata
