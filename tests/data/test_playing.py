"""Recording, evaluating and filming play one loop: policies keep their memory, models their VecNormalize."""

from itertools import islice
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecNormalize

from rlgen.data import Demonstrations
from rlgen.data.playing import play
from rlgen.errors import InputError
from rlgen.runs.evaluation import evaluate


class Count(gym.Env):
    """Shows a constant, ends after some steps, pays the action."""

    def __init__(self, length: int = 3, observation: spaces.Space | None = None, action: spaces.Space | None = None):
        self.length = length
        self.observation_space = observation or spaces.Box(-np.inf, np.inf, (2,))
        self.action_space = action or spaces.Box(-10, 10, (1,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.t = 0
        return self.look(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        assert isinstance(self.action_space, spaces.Box) or self.action_space.contains(action)
        self.t += 1
        return self.look(), float(np.sum(action)), self.t == self.length, False, {}

    def look(self) -> Any:
        if isinstance(self.observation_space, spaces.Box):
            return np.full(self.observation_space.shape, 5.0).astype(self.observation_space.dtype)
        return self.observation_space.sample()


class Counter:
    """Answers how many steps of the episode it remembers."""

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[np.ndarray, Any]:
        before = np.zeros(len(observation)) if state is None else np.where(episode_start, 0, state)
        return before[:, None], before + 1


class Forgetful:
    """A `predict` of the smallest kind."""

    def predict(self, observation: Any, *, deterministic: bool) -> tuple[np.ndarray, None]:
        return np.full((len(observation), 1), 99.0), None


def counts(*lengths: int) -> DummyVecEnv:
    return DummyVecEnv([lambda length=length: Count(length) for length in lengths])


def test_a_policy_with_memory_keeps_it_until_its_episode_ends() -> None:
    recorded = Demonstrations.record(Counter(), counts(3, 5), 4)  # type: ignore[arg-type]
    assert recorded.actions.ravel().tolist() == [0, 1, 2, 0, 1, 2, 3, 4] * 2
    assert evaluate(Counter(), counts(3, 5), 4, label=None).returns.tolist() == [3, 3, 10, 10]  # type: ignore[arg-type]


def test_a_policy_without_memory_is_asked_for_actions_alone_and_those_are_clipped() -> None:
    (step,) = islice(play(Forgetful(), counts(3), True), 1)  # type: ignore[arg-type]
    assert step.actions.tolist() == [[10.0]]


def test_a_model_trained_under_vecnormalize_sees_normalized_observations_where_the_environment_gives_raw_ones() -> None:
    env = VecNormalize(counts(3), norm_reward=False, training=False)
    env.obs_rms.mean[:] = 4.0  # type: ignore[union-attr]
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=8, seed=0, device="cpu")
    expected, _ = model.predict(np.full((1, 2), 1.0, np.float32), deterministic=True)
    for given in (counts(3), env):
        (step,) = islice(play(model, given, True), 1)
        assert np.allclose(step.actions, expected, atol=1e-6)
    assert not np.allclose(model.predict(np.full((1, 2), 5.0, np.float32), deterministic=True)[0], expected)


@pytest.mark.parametrize("options", [{"norm_reward": True, "training": False}, {"norm_reward": False}])
def test_scaled_rewards_and_moving_statistics_are_not_evaluated(options: dict[str, bool]) -> None:
    with pytest.raises(InputError, match=r"with the task's own reward; got a VecNormalize.*env\.venv"):
        evaluate(Forgetful(), VecNormalize(counts(3), **options), 1, label=None)  # type: ignore[arg-type]


def test_spaces_that_are_not_the_policys_are_refused_in_three_parts() -> None:
    model = PPO("MlpPolicy", counts(3), n_steps=8, batch_size=8, device="cpu")
    other = DummyVecEnv([lambda: Count(observation=spaces.Box(-1, 1, (3,)))])
    discrete = DummyVecEnv([lambda: Count(action=spaces.Discrete(3))])
    for env, name in ((other, "observation"), (discrete, "action")):
        with pytest.raises(InputError, match=f"the {name} space of the policy"):
            Demonstrations.record(model, env, 1)
        with pytest.raises(InputError, match=f"the {name} space of the policy"):
            evaluate(model, env, 1, label=None)


def test_a_window_is_recorded_as_a_row() -> None:
    env = DummyVecEnv([lambda: Count(observation=spaces.Box(-9, 9, (4, 3)))])
    assert Demonstrations.record(Forgetful(), env, 2).observations.shape == (6, 12)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("space", "width"), [(spaces.Discrete(3), 1), (spaces.MultiDiscrete([2, 3]), 2), (spaces.MultiBinary(4), 4)]
)
def test_kinds_of_action_are_recorded_as_whole_numbers(space: spaces.Space, width: int) -> None:
    def make() -> DummyVecEnv:
        return DummyVecEnv([lambda: Count(action=space)])

    recorded = Demonstrations.record(PPO("MlpPolicy", make(), n_steps=8, batch_size=8, device="cpu"), make(), 3)
    assert recorded.actions.shape == (9, width)
    assert (recorded.actions == recorded.actions.round()).all()
    assert recorded.summary().share_clipped is None
    recorded.validate(make())


class Blind(VecEnvWrapper):
    """A vector environment that forgets what it knew of an episode's end."""

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        return (*self.venv.step_wait()[:3], [{} for _ in range(self.num_envs)])


def test_a_recording_without_last_observations_says_what_is_missing() -> None:
    with pytest.raises(InputError, match=r"'terminal_observation' in the info .*got an environment that"):
        Demonstrations.record(Forgetful(), Blind(counts(2)), 1)  # type: ignore[arg-type]


def test_a_policy_of_nan_is_not_recorded() -> None:
    class Broken:
        def predict(self, observation: Any, *, deterministic: bool) -> tuple[np.ndarray, None]:
            return np.full((len(observation), 1), np.nan), None

    with pytest.raises(InputError, match="NaN or infinite actions"):
        Demonstrations.record(Broken(), counts(3), 1)  # type: ignore[arg-type]


def test_a_policy_whose_weights_diverged_is_not_evaluated() -> None:
    model = PPO("MlpPolicy", Count(), n_steps=8, batch_size=8, device="cpu")
    for parameter in model.policy.parameters():
        parameter.data.fill_(np.nan)
    for deterministic in (True, False):
        with pytest.raises(InputError, match=r"a policy with finite actions; got NaN or infinite actions"):
            evaluate(model, counts(3), 1, deterministic=deterministic)
