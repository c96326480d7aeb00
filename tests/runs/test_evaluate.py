"""Evaluation counts whole episodes without preferring short ones, and the same seed gives the same result."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from rlgen.errors import InputError
from rlgen.runs.evaluation import RandomPolicy, evaluate


class Countdown:
    """N environments: number i has episodes of i + 1 steps, paid 1 a step, and ends by itself if i is odd."""

    def __init__(self, num_envs: int, noise: bool = False) -> None:
        self.num_envs, self.noise = num_envs, noise
        self.random = np.random.default_rng()
        self.steps = 0

    def seed(self, seed):
        self.random = np.random.default_rng(seed)

    def reset(self):
        self.left = np.arange(self.num_envs) + 1
        return np.zeros((self.num_envs, 3), dtype=np.float32)

    def step(self, actions):
        assert actions.shape == (self.num_envs, 2)
        self.steps += 1
        self.left -= 1
        dones = self.left == 0
        infos = [{"TimeLimit.truncated": i % 2 == 0} if done else {} for i, done in enumerate(dones)]
        self.left[dones] = (np.arange(self.num_envs) + 1)[dones]
        rewards = np.ones(self.num_envs, dtype=np.float32) + actions[:, 0] * self.noise
        if self.noise:
            rewards += self.random.normal(size=self.num_envs).astype(np.float32)
        return np.zeros((self.num_envs, 3), dtype=np.float32), rewards, dones, infos


class Still:
    def predict(self, observation, *, deterministic):
        return np.zeros((len(observation), 2), dtype=np.float32), None


class Gaussian:
    """As SB3's: the mean when deterministic, else drawn from torch's global generator."""

    def predict(self, observation, *, deterministic):
        return np.zeros((len(observation), 2)) if deterministic else torch.randn(len(observation), 2).numpy(), None


def test_each_environment_contributes_the_same_number_of_episodes():
    result = evaluate(Still(), Countdown(4), 8, label=None)
    assert result.lengths.tolist() == [1, 1, 2, 2, 3, 3, 4, 4]  # the first eight to finish would be 1 1 1 1 2 2 3 4
    assert result.returns.tolist() == [1, 1, 2, 2, 3, 3, 4, 4]


def test_a_remainder_goes_to_the_first_environments():
    assert evaluate(Still(), Countdown(4), 6, label=None).lengths.tolist() == [1, 1, 2, 2, 3, 4]
    assert evaluate(Still(), Countdown(4), 2, label=None).lengths.tolist() == [1, 2]


def test_a_time_limit_is_not_a_fall():
    result = evaluate(Still(), Countdown(4), 4, label=None)
    assert result.terminated.tolist() == [False, True, False, True]
    assert result.summary() == {
        "return_mean": 2.5,
        "return_std": pytest.approx(np.sqrt(1.25)),
        "return_min": 1.0,
        "return_max": 4.0,
        "episode_length_mean": 2.5,
        "episodes": 4,
        "terminated": 0.5,
    }


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_same_seed_gives_the_same_returns(deterministic):
    results = [
        evaluate(Gaussian(), Countdown(3, noise=True), 6, deterministic, seed=seed, label=None).returns
        for seed in (7, 7, 8)
    ]
    assert results[0].tolist() == results[1].tolist()
    assert results[0].tolist() != results[2].tolist()


def test_evaluating_does_not_move_the_random_numbers_of_the_training():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    evaluate(Gaussian(), Countdown(2), 4, deterministic=False, seed=1, label=None)
    assert torch.equal(torch.rand(1), expected)


def test_it_stops_as_soon_as_the_last_episode_ends():
    env = Countdown(2)
    evaluate(Still(), env, 2, label=None)
    assert env.steps == 2


def test_no_episodes_is_an_error():
    with pytest.raises(InputError, match="at least one episode"):
        evaluate(Still(), Countdown(1), 0, label=None)


def test_random_actions_fill_the_bounds_evenly():
    low, high = np.array([-0.4, 0.0], dtype=np.float32), np.array([0.4, 2.0], dtype=np.float32)
    box = spaces.Box(low, high)
    actions, _ = RandomPolicy(box, seed=0).predict(np.zeros((4000, 3)))
    assert actions.shape == (4000, 2)
    assert actions.dtype == np.float32
    assert (actions >= low).all()
    assert (actions <= high).all()
    assert actions.mean(0) == pytest.approx([0.0, 1.0], abs=0.04)
    again, _ = RandomPolicy(box, seed=0).predict(np.zeros((4000, 3)))
    assert np.array_equal(actions, again)


@pytest.mark.parametrize(
    ("space", "drawn"),
    [
        (spaces.Discrete(3), {0, 1, 2}),
        (spaces.Discrete(2, start=5), {5, 6}),
        (spaces.MultiDiscrete([2, 3]), {(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)}),
        (spaces.MultiBinary(2), {(0, 0), (0, 1), (1, 0), (1, 1)}),
    ],
)
def test_random_kinds_of_action_are_all_those_of_the_space(space, drawn):
    actions, _ = RandomPolicy(space, seed=0).predict(np.zeros((200, 1)))
    assert {tuple(row) if space.shape else row for row in actions.tolist()} == drawn
    assert all(space.contains(row) for row in actions)


@pytest.mark.parametrize("space", [spaces.Box(-np.inf, np.inf, (1,)), spaces.Tuple([spaces.Discrete(2)])])
def test_random_actions_without_bounds_or_of_spaces_without_agents_are_refused_at_once(space):
    with pytest.raises(InputError, match="action space"):
        RandomPolicy(space)
