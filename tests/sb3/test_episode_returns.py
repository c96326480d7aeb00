"""What was paid per episode."""

import copy

import numpy as np
import torch

from rlgen.sb3.log import EpisodeReturns

REWARDS = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
STARTS = np.array([[1, 1], [0, 0], [1, 0], [0, 1]], bool)
ENDS = np.array([[0, 0], [1, 0], [0, 0], [1, 0]], bool)


def test_returns_are_sums_over_ended_episodes_also_across_batches() -> None:
    returns = EpisodeReturns(2)
    assert returns.mean() is None
    for half in (slice(0, 1), slice(1, 4)):
        returns.add(REWARDS[half], STARTS[half], ENDS[half])
    assert list(returns.finished) == [1 + 2, 4 + 8]
    assert returns.mean() == 7.5


def test_an_episode_that_was_given_up_does_not_count() -> None:
    """Environment 1 begins anew in the last step, without an end before."""
    returns = EpisodeReturns(2)
    returns.add(REWARDS, STARTS, ENDS)
    returns.add(np.array([[0.0, 3.0]]), np.array([[True, False]]), np.array([[False, True]]))
    assert returns.finished[-1] == 80 + 3


def test_the_window_forgets_the_oldest_episodes() -> None:
    returns = EpisodeReturns(1, window=2)
    every = np.ones((3, 1), bool)
    returns.add(np.array([[1.0], [2.0], [6.0]]), every, every)
    assert returns.mean() == 4


def test_a_loaded_state_goes_on_bit_for_bit() -> None:
    whole, first, second = (EpisodeReturns(2, window=3) for _ in range(3))
    rewards = np.random.default_rng(0).normal(size=(4, 2))
    first.add(rewards[:2], STARTS[:2], ENDS[:2])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.add(rewards[2:], STARTS[2:], ENDS[2:])
    whole.add(rewards, STARTS, ENDS)
    assert second.mean() == whole.mean()
    np.testing.assert_array_equal(second.running, whole.running)
    assert second.finished.maxlen == 3


def test_tensors_that_stay_on_their_device_give_the_same_sums() -> None:
    host, device = EpisodeReturns(2), EpisodeReturns(2)
    sums = []
    for part in (slice(0, 1), slice(1, 3), slice(3, 4)):
        host.add(REWARDS[part], STARTS[part], ENDS[part])
        sums.append(float(device.add_on_device(*(torch.tensor(each[part]) for each in (REWARDS, STARTS, ENDS)))))
    assert sums == [0, 3, 12]
    np.testing.assert_array_equal(device.state_dict()["running"], host.state_dict()["running"])
    again = EpisodeReturns(2)
    again.load_state_dict(device.state_dict())
    more = torch.ones(1, 2), torch.zeros(1, 2, dtype=torch.bool), torch.ones(1, 2, dtype=torch.bool)
    assert again.add_on_device(*more) == host.running.sum() + 2
