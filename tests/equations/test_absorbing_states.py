"""Absorbing states: against a sum, and against a chain in which the state is a state like any other."""

import numpy as np
import pytest
import torch

from rlgen.equations.absorbing_states import (
    absorbing_log_ratio,
    absorbing_occupancy,
    absorbing_return,
    end_rate,
    outside_log_ratio,
)
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


def occupancies(onward: np.ndarray, gamma: float) -> np.ndarray:
    """(1 - γ) Σ γ^t P(s_t) of a chain that starts in its first state and whose last state is absorbing."""
    start = np.eye(len(onward))[0]
    return (1 - gamma) * np.linalg.solve(np.eye(len(onward)) - gamma * onward.T, start)


def ending(rate: float) -> np.ndarray:
    """A chain of two states between which it alternates, and from which it ends at `rate`."""
    return np.array([[0.0, 1 - rate, rate], [1 - rate, 0.0, rate], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.5, 1.0])
def test_the_occupancy_is_that_of_a_chain_and_of_random_lengths(rate: float) -> None:
    found = absorbing_occupancy(rate, 0.9)
    assert found == pytest.approx(occupancies(ending(rate), 0.9)[-1])
    # From the step T + 1 on it is in the state: E[γ^T], T geometric.
    lengths = np.arange(1, 3000)
    assert found == pytest.approx((0.9**lengths * rate * (1 - rate) ** (lengths - 1)).sum(), abs=1e-9)


def test_log_ratios_are_those_of_the_occupancies_of_two_chains() -> None:
    expert, policy, gamma = 0.1, 0.01, 0.95
    ratio = np.log(occupancies(ending(expert), gamma) / occupancies(ending(policy), gamma))
    rates = torch.tensor(expert), torch.tensor(policy)
    assert absorbing_log_ratio(*rates, gamma).item() == pytest.approx(ratio[2], abs=1e-5)
    # Outside, the two chains visit the same two states, but ever less: what the rates say is the ratio of their sums.
    outside = np.log(occupancies(ending(expert), gamma)[:2].sum() / occupancies(ending(policy), gamma)[:2].sum())
    assert outside_log_ratio(*rates, gamma).item() == pytest.approx(outside, abs=1e-5)


def test_a_rate_is_never_0_nor_1_and_finds_the_share() -> None:
    assert end_rate(0.0, 9.0) == pytest.approx(0.05)
    assert end_rate(9.0, 9.0) == pytest.approx(0.95)
    assert end_rate(torch.tensor(2e5), 1e6).item() == pytest.approx(0.2, abs=1e-6)
    # The mean of the posterior of a share under Jeffreys' prior, Beta(½, ½).
    beta = pytest.importorskip("scipy.stats").beta
    assert end_rate(3.0, 40.0) == pytest.approx(beta(3.5, 37.5).mean())


@pytest.mark.parametrize("gamma", [1.0, 1.5, -0.1])
def test_a_discount_without_limit_is_refused(gamma: float) -> None:
    with pytest.raises(InputError, match="below 1"):
        require_discount(gamma)
