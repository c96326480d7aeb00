"""PWIL's greedy coupling: a case by hand, the loop of the paper's algorithm, and the exact optimum below it."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from rlgen.equations.greedy_coupling import coupling_reward, greedy_transport


def episode(distances: torch.Tensor) -> torch.Tensor:
    """Costs [T] of the steps of one episode at these distances [T, D]."""
    steps, rows = distances.shape
    left = torch.full((1, rows), 1 / rows, dtype=torch.float64)
    costs = []
    for distance in distances:
        cost, mass, left = greedy_transport(distance[None].double(), left, 1 / steps)
        assert mass.item() == pytest.approx(1 / steps)
        costs.append(cost)
    assert left.abs().max() < 1e-12, "all is used up"
    return torch.cat(costs)


def algorithm_1(distances: np.ndarray) -> list[float]:
    """The loop of Dadashi et al. 2021, Algorithm 1, atom by atom."""
    steps, rows = distances.shape
    weights, costs = {row: 1 / rows for row in range(rows)}, []
    for distance in distances:
        need, cost = 1 / steps, 0.0
        while need > 1e-12 and weights:
            nearest = min(weights, key=lambda row: distance[row])
            taken = min(need, weights[nearest])
            cost += taken * distance[nearest]
            need -= taken
            weights[nearest] -= taken
            if weights[nearest] <= 1e-12:
                del weights[nearest]
        costs.append(cost)
    return costs


def test_a_case_by_hand() -> None:
    # Three steps of mass 1/3 against two rows of mass 1/2. The first takes 1/3 of row 0; the second the remaining 1/6
    # of row 0 and 1/6 of row 1; the third 1/3 of row 1.
    distances = torch.tensor([[0.0, 9.0], [1.0, 4.0], [2.0, 3.0]])
    torch.testing.assert_close(episode(distances), torch.tensor([0, 1 / 6 + 4 / 6, 3 / 3]).double())


@pytest.mark.parametrize(("steps", "rows"), [(6, 6), (12, 4), (4, 12), (7, 5)])
def test_it_is_the_papers_loop(steps: int, rows: int) -> None:
    distances = torch.rand(steps, rows, generator=torch.Generator().manual_seed(steps))
    np.testing.assert_allclose(episode(distances), algorithm_1(distances.numpy()), atol=1e-7)


@pytest.mark.parametrize(("steps", "rows"), [(6, 6), (12, 4), (4, 12)])
def test_the_exact_optimal_transport_is_a_lower_bound(steps: int, rows: int) -> None:
    for seed in range(5):
        distances = torch.rand(steps, rows, generator=torch.Generator().manual_seed(seed))
        atoms = math.lcm(steps, rows)
        split = np.repeat(np.repeat(distances.numpy(), atoms // steps, 0), atoms // rows, 1)
        optimum = split[linear_sum_assignment(split)].sum() / atoms
        assert episode(distances).sum() >= optimum - 1e-7
    assert episode(torch.zeros(steps, rows)).sum() == 0


def test_a_step_beyond_the_demonstrations_finds_no_mass() -> None:
    cost, mass, left = greedy_transport(torch.ones(1, 2), torch.tensor([[0.1, 0.0]]), 0.5)
    assert mass.item() == pytest.approx(0.1)
    assert cost.item() == pytest.approx(0.1)
    assert left.tolist() == [[0, 0]]


def test_the_reward_falls_from_its_scale_exponentially() -> None:
    none, one, two = coupling_reward(torch.tensor([0.0, 0.01, 0.02]), horizon=10, size=4, scale=5.0, rate=3.0)
    assert none.item() == 5
    assert (one / none).item() == pytest.approx(math.exp(-3 * 10 * 0.01 / 2))
    assert (two / one).item() == pytest.approx((one / none).item(), rel=1e-5)
