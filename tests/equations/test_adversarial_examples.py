"""Adversarial steps against the worst case of a linear model in closed form, a grid, and torch's own optimizers."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rlgen.equations.adversarial_examples import (
    adversarial_objective,
    fast_gradient_sign,
    projected_gradient_step,
    within_ball,
)

WEIGHTS = torch.tensor([0.6, -2.0, 0.3], dtype=torch.float64)
ROWS = torch.tensor([[0.1, 0.2, 0.9], [-1.0, 0.5, 0.0]], dtype=torch.float64)
EPSILON = 0.3


def logistic(rows: Tensor, labels: Tensor) -> Tensor:
    """The loss [B] of a linear classifier with labels ±1."""
    return F.softplus(-labels * (rows @ WEIGHTS))


def gradient(rows: Tensor, labels: Tensor) -> Tensor:
    rows = rows.clone().requires_grad_()
    return torch.autograd.grad(logistic(rows, labels).sum(), rows)[0]


def grid_around(row: Tensor, radius: Tensor, points: int = 5) -> Tensor:
    """A grid of the box of `radius` around a row, with its corners."""
    sides = [torch.linspace(-1, 1, points).double() * each for each in radius]
    return row + torch.tensor(list(itertools.product(*[side.tolist() for side in sides])), dtype=torch.float64)


LABELS = torch.tensor([1.0, -1.0], dtype=torch.float64)


def test_the_loss_of_a_linear_classifier_rises_by_the_sum_of_its_weights() -> None:
    """max over |δ| ≤ ε of softplus(-y w·(x + δ)) = softplus(-y w·x + ε |w|₁): Goodfellow et al. 2015, section 5."""
    attacked = fast_gradient_sign(ROWS, gradient(ROWS, LABELS), EPSILON)
    expected = F.softplus(-LABELS * (ROWS @ WEIGHTS) + EPSILON * WEIGHTS.abs().sum())
    torch.testing.assert_close(logistic(attacked, LABELS), expected)


def test_no_point_of_a_grid_in_the_ball_is_worse_than_the_fast_gradient_sign() -> None:
    radius = torch.tensor([0.3, 0.1, 0.0], dtype=torch.float64)
    attacked = fast_gradient_sign(ROWS, gradient(ROWS, LABELS), radius)
    for row, label, found in zip(ROWS, LABELS, attacked, strict=True):
        grid = grid_around(row, radius)
        assert logistic(found[None], label) == pytest.approx(float(logistic(grid, label).max()))


def test_the_bounds_hold_after_the_fast_gradient_sign() -> None:
    attacked = fast_gradient_sign(ROWS, gradient(ROWS, LABELS), EPSILON, 0.0, 1.0)
    low, high = ROWS - EPSILON, ROWS + EPSILON
    expected = torch.where(gradient(ROWS, LABELS) > 0, high, low).clamp(0, 1)
    torch.testing.assert_close(attacked, expected)


def test_for_a_linear_classifier_steps_of_projected_gradient_end_at_the_fast_gradient_sign() -> None:
    once = fast_gradient_sign(ROWS, gradient(ROWS, LABELS), EPSILON)
    moved = ROWS + EPSILON * torch.tensor([0.9, 0.5, -1.0]).double()
    for _ in range(10):
        moved = projected_gradient_step(moved, gradient(moved, LABELS), ROWS, EPSILON / 4, EPSILON)
    torch.testing.assert_close(moved, once)


def test_projected_gradient_finds_the_worst_point_of_a_grid_where_the_gradient_turns() -> None:
    """J = -|x - t|² has its maximum, within the ball, at the point of the ball nearest to t."""
    target = torch.tensor([[0.25, -3.0, 0.6]], dtype=torch.float64)
    center, radius = torch.zeros(1, 3, dtype=torch.float64), torch.tensor([1.0, 1.0, 0.5], dtype=torch.float64)
    moved = center
    for _ in range(100):
        moved = projected_gradient_step(moved, 2 * (target - moved), center, 0.05, radius)
    grid = grid_around(center[0], radius, points=9)
    best = grid[(grid - target).square().sum(1).argmin()]
    torch.testing.assert_close(moved[0], best, atol=0.05, rtol=0)


def test_the_projection_is_the_nearest_point_of_ball_and_bounds_in_each_number() -> None:
    center = torch.tensor([[0.1, 0.5, 0.9]])
    inputs = torch.tensor([[-1.0, 0.6, 2.0]])
    torch.testing.assert_close(within_ball(inputs, center, 0.2, 0.0, 1.0), torch.tensor([[0.0, 0.6, 1.0]]))
    assert torch.equal(within_ball(center, center, 0.2, 0.0, 1.0), center)


def test_a_projected_step_from_the_center_of_the_size_of_the_ball_is_the_fast_gradient_sign() -> None:
    slope = gradient(ROWS, LABELS)
    once = fast_gradient_sign(ROWS.clamp(0, 1), slope, EPSILON, 0.0, 1.0)
    step = projected_gradient_step(ROWS.clamp(0, 1), slope, ROWS.clamp(0, 1), EPSILON, EPSILON, 0.0, 1.0)
    torch.testing.assert_close(step, once)


def test_the_objective_is_the_mean_over_rows_that_are_attacked_with_their_probability() -> None:
    clean, attacked = torch.tensor(2.0), torch.tensor(6.0)
    assert adversarial_objective(clean, attacked) == 4.0
    assert adversarial_objective(clean, attacked, 1.0) == clean
    assert adversarial_objective(clean, attacked, 0.0) == attacked


def test_the_objective_of_a_batch_with_as_many_attacked_rows_is_its_mean_loss() -> None:
    attacked = fast_gradient_sign(ROWS, gradient(ROWS, LABELS), EPSILON)
    joined = logistic(torch.cat([ROWS, attacked]), torch.cat([LABELS, LABELS])).mean()
    parts = adversarial_objective(logistic(ROWS, LABELS).mean(), logistic(attacked, LABELS).mean())
    torch.testing.assert_close(parts, joined)
