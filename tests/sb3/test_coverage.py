"""Coverage counts the states an agent acts in, on-policy and off-policy alike, and remembers the first reward."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.data import Visits
from rlgen.data.visits import Axis
from rlgen.sb3 import coverage
from rlgen.sb3.coverage import Coverage

AXES = (Axis(name="place", columns=(0,), width=1.0), Axis(name="time", columns=(1,), width=1.0))


class Walk(gym.Env):
    """One place further in every step; the third step of an episode of five is paid."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(2, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.time += 1
        return np.full(2, self.time, np.float32), float(self.time == 3), self.time == 5, False, {}


class Seen(BaseCallback):
    """What `Coverage` has just logged, after every rollout or step that brought something."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[dict[str, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        logged = {name: value for name, value in self.logger.name_to_value.items() if name.startswith("coverage/")}
        if logged:
            self.values.append(logged)


def learn(kind: type, steps: int, watched: Coverage, **settings: Any) -> Seen:
    seen = Seen()
    model = kind("MlpPolicy", make_vec_env(Walk, 2), device="cpu", seed=0, **settings)
    model.learn(steps, [watched, seen])
    return seen


@pytest.mark.parametrize("kind", [PPO, SAC])
def test_every_state_that_was_acted_in_counts_once(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where training ends, amid the fourth episode, nobody has acted yet."""
    monkeypatch.setattr(coverage, "CHUNK", 6)
    settings = {"n_steps": 9, "batch_size": 18, "n_epochs": 1} if kind is PPO else {"learning_starts": 1000}
    watched = Coverage(Visits(AXES))
    learn(kind, 36, watched, **settings)
    assert watched.visits.cells.tolist() == [[time, time] for time in range(5)]
    assert watched.visits.counts.tolist() == [8, 8, 8, 6, 6]


@pytest.mark.parametrize("kind", [PPO, SAC])
def test_under_vecnormalize_the_environments_own_numbers_are_counted(
    kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "CHUNK", 6)
    settings = {"n_steps": 9, "batch_size": 18, "n_epochs": 1} if kind is PPO else {"learning_starts": 1000}
    watched, env = Coverage(Visits(AXES)), VecNormalize(make_vec_env(Walk, 2))
    kind("MlpPolicy", env, device="cpu", seed=0, **settings).learn(36, watched)
    assert watched.visits.cells.tolist() == [[time, time] for time in range(5)]
    assert watched.visits.counts.tolist() == [8, 8, 8, 6, 6]
    assert watched.visits.first_reward_step == 6


def test_cells_first_reward_and_rewarded_episodes_are_logged() -> None:
    watched = Coverage(Visits(AXES))
    seen = learn(PPO, 16, watched, n_steps=2, batch_size=4, n_epochs=1)
    assert [values["coverage/cells"] for values in seen.values] == [2, 4, 5, 5]
    assert [values.get("coverage/first_reward") for values in seen.values] == [None, 6, 6, 6]
    assert [values.get("coverage/rewarded") for values in seen.values] == [None, None, 1.0, 1.0]
    assert "coverage/share" not in seen.values[0], "a grid without ends"


def test_a_grid_with_ends_has_its_share_logged() -> None:
    axes = (Axis(name="place", columns=(0,), width=1.0, low=0.0, high=10.0),)
    seen = learn(PPO, 10, Coverage(Visits(axes)), n_steps=5, batch_size=10, n_epochs=1)
    assert seen.values[0]["coverage/share"] == 0.5


def test_what_waits_to_be_counted_belongs_to_the_state() -> None:
    first, second = Coverage(Visits(AXES)), Coverage(Visits(AXES))
    first.waiting = [np.zeros((2, 2), np.float32)]
    first.visits.first_reward_step = 3
    second.load_state_dict(first.state_dict())
    assert second.visits.first_reward_step == 3
    np.testing.assert_array_equal(second.waiting, first.waiting)
