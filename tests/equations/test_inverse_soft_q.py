"""Inverse soft Q-learning as regression: against IQ-Learn's own objective by autograd, and against a chain."""

import numpy as np
import pytest
import torch

from rlgen.equations.inverse_soft_q import highest_value, inverse_soft_q_reward, inverse_soft_q_target

GAMMA = 0.9


@pytest.mark.parametrize("regularization", [0.5, 2.0])
def test_the_regression_has_the_gradient_of_iq_learns_objective(regularization: float) -> None:
    torch.manual_seed(0)
    values, following = torch.randn(2, 10, 1).double()
    values.requires_grad_()
    expert = torch.arange(10)[:, None] >= 5
    implicit = values - GAMMA * following
    ours, theirs = implicit[:5], implicit[5:]
    iq_learn = theirs.mean() - ours.mean() - regularization * 0.5 * (theirs.square().mean() + ours.square().mean())
    reward = inverse_soft_q_reward(expert, regularization).double()
    target = inverse_soft_q_target(reward, following, torch.zeros(10, 1).double(), GAMMA)
    regression = (values - target).square().mean()
    (own,), (published,) = (torch.autograd.grad(each, values, retain_graph=True) for each in (regression, -iq_learn))
    torch.testing.assert_close(own * regularization, published)


def test_rewards_are_opposite_and_in_units_of_the_regularizer() -> None:
    expert = torch.tensor([[True], [False]])
    assert inverse_soft_q_reward(expert, 0.5).tolist() == [[2.0], [-2.0]]


def test_the_highest_value_is_the_sum_of_the_highest_rewards_and_its_own_target() -> None:
    reward = float(inverse_soft_q_reward(torch.tensor([[True]]), 0.5))
    highest = highest_value(0.5, GAMMA)
    assert highest == pytest.approx(sum(GAMMA**step * reward for step in range(500)))
    found = inverse_soft_q_target(torch.tensor([[reward]]), torch.tensor([[highest]]), torch.zeros(1, 1), GAMMA)
    assert float(found) == pytest.approx(highest)


def test_a_terminated_row_has_the_value_of_a_chain_with_the_absorbing_state_in_it() -> None:
    onward = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 1.0]])  # the last state is absorbing
    reward = np.array([-2.0, 2.0, 2.0])  # in it, as the row that enters it
    values = np.linalg.solve(np.eye(3) - GAMMA * onward, reward)
    last = inverse_soft_q_target(torch.tensor([[2.0]]), torch.tensor([[99.0]]), torch.ones(1, 1), GAMMA)
    assert float(last) == pytest.approx(values[1])
    first = inverse_soft_q_target(torch.tensor([[-2.0]]), last, torch.zeros(1, 1), GAMMA)
    assert float(first) == pytest.approx(values[0])
