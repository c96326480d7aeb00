"""Absorbing states: against a sum, and against a chain in which the state is a state like any other."""

import numpy as np
import pytest
import torch

from rlgen.equations.absorbing_states import absorbing_return, absorbing_share
from rlgen.errors import InputError
from rlgen.rewards.absorbing_states import require_discount


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_the_return_is_the_sum_of_what_follows(gamma: float) -> None:
    reward = torch.tensor([1.5, -0.2])
    summed = sum(gamma**step * reward for step in range(1, 400))
    torch.testing.assert_close(absorbing_return(reward, gamma), summed)


def test_values_are_those_of_a_chain_with_the_absorbing_state_in_it() -> None:
    gamma, rng = 0.95, np.random.default_rng(0)
    reward, absorbing = rng.normal(size=3), 0.7
    onward = np.array(
        [[0.2, 0.5, 0.0, 0.3], [0.0, 0.4, 0.4, 0.2], [0.1, 0.0, 0.3, 0.6]]
    )  # last: into the absorbing state
    explicit = np.vstack([onward, [0, 0, 0, 1]])
    whole = np.linalg.solve(np.eye(4) - gamma * explicit, np.append(reward, absorbing))
    ending = reward + onward[:, 3] * absorbing_return(absorbing, gamma)
    short = np.linalg.solve(np.eye(3) - gamma * onward[:, :3], ending)
    np.testing.assert_allclose(short, whole[:3])


def test_the_share_is_that_of_the_padded_episodes() -> None:
    lengths = np.array([5, 8, 12])
    padded = np.concatenate(
        [np.append(np.zeros(length), 1) for length in lengths]
    )  # one absorbing row for each episode
    assert absorbing_share(3.0, float(lengths.sum())) == pytest.approx(padded.mean())


def test_rows_of_a_subsampled_file_weigh_as_many_times_as_they_skip() -> None:
    # 400 steps, of which every 20th was kept, and 4 ends: the weights of the released code are 1 and 1/20.
    assert absorbing_share(4.0, 20.0, stride=20) == pytest.approx(4 / 20 / (20 + 4 / 20))


@pytest.mark.parametrize("gamma", [1.0, 1.5, -0.1])
def test_a_discount_without_limit_is_refused(gamma: float) -> None:
    with pytest.raises(InputError, match="below 1"):
        require_discount(gamma)
