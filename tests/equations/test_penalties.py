"""Penalties against closed forms, finite differences and torch.distributions."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli

from rlgen.equations.penalties import bernoulli_entropy, gradient_penalty, input_gradient, r1

WEIGHTS = torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64)  # of length 1


def linear(weights: Tensor):
    return lambda rows: rows @ weights


@pytest.fixture
def critic():
    """A smooth critic on three numbers, and the same by hand."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    return lambda rows: network(rows).squeeze(-1)


def finite_difference(critic, rows: Tensor, width: float = 1e-5) -> Tensor:
    """d logit_b / d input_b by central differences [B, D]."""
    columns = [
        (critic(rows + width * step) - critic(rows - width * step)) / (2 * width) for step in torch.eye(3).double()
    ]
    return torch.stack(columns, -1).detach()


def test_input_gradient_of_a_linear_critic_is_its_weights() -> None:
    gradient = input_gradient(linear(WEIGHTS), torch.randn(4, 3, dtype=torch.float64))
    torch.testing.assert_close(gradient, WEIGHTS.expand(4, 3))


def test_input_gradient_is_a_finite_difference(critic) -> None:
    rows = torch.randn(6, 3, dtype=torch.float64)
    torch.testing.assert_close(input_gradient(critic, rows), finite_difference(critic, rows), rtol=1e-6, atol=1e-8)


def test_input_gradient_leaves_the_rows_as_they_were() -> None:
    rows = torch.randn(2, 3, dtype=torch.float64)
    input_gradient(linear(WEIGHTS), rows)
    assert not rows.requires_grad


def test_gradient_penalty_of_a_linear_critic_of_slope_one_is_zero() -> None:
    expert, policy = torch.randn(2, 5, 3, dtype=torch.float64)
    assert float(gradient_penalty(linear(WEIGHTS), expert, policy)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("slope", "centre"), [(3.0, 1.0), (0.5, 1.0), (3.0, 0.0), (2.0, 0.25)])
def test_gradient_penalty_of_a_linear_critic_is_its_slope_from_the_centre(slope: float, centre: float) -> None:
    expert, policy = torch.randn(2, 5, 3, dtype=torch.float64)
    penalty = gradient_penalty(linear(slope * WEIGHTS), expert, policy, centre)
    assert float(penalty) == pytest.approx((slope - centre) ** 2)


@pytest.mark.parametrize("centre", [0.0, 1.0])
def test_gradient_penalty_is_a_finite_difference(critic, centre: float) -> None:
    rows = torch.randn(6, 3, dtype=torch.float64)
    expected = (finite_difference(critic, rows).norm(dim=-1) - centre).square().mean()
    # Between a row and itself lies only the row, whatever share is drawn.
    torch.testing.assert_close(gradient_penalty(critic, rows, rows, centre), expected, rtol=1e-6, atol=1e-8)


def test_gradient_penalty_looks_between_expert_and_policy_rows() -> None:
    seen = []

    def critic(rows: Tensor) -> Tensor:
        seen.append(rows.detach())
        return rows.sum(-1)

    expert, policy = torch.ones(1000, 3), torch.zeros(1000, 3)
    gradient_penalty(critic, expert, policy)
    shares = seen[0]
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert (shares == shares[:, :1]).all(), "one share per row: a point on the line, not in the box"
    assert float(shares[:, 0].mean()) == pytest.approx(0.5, abs=0.05)
    assert float(shares[:, 0].var()) == pytest.approx(1 / 12, abs=0.02)


def test_gradient_penalty_of_a_flat_critic_has_a_finite_gradient() -> None:
    weights = torch.zeros(3, requires_grad=True)
    penalty = gradient_penalty(linear(weights), torch.randn(4, 3), torch.randn(4, 3))
    penalty.backward()
    assert penalty.item() == pytest.approx(1)
    assert weights.grad is not None
    assert weights.grad.isfinite().all()


def test_gradient_penalty_pulls_a_steep_critic_down() -> None:
    weights = torch.tensor([3.0, 0.0, 0.0], requires_grad=True)
    gradient_penalty(linear(weights), torch.randn(4, 3), torch.randn(4, 3)).backward()
    torch.testing.assert_close(weights.grad, torch.tensor([4.0, 0.0, 0.0]))  # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|


def test_r1_of_a_linear_critic_is_half_its_slope_squared() -> None:
    assert float(r1(linear(3 * WEIGHTS), torch.randn(5, 3, dtype=torch.float64))) == pytest.approx(4.5)


def test_r1_is_a_finite_difference(critic) -> None:
    rows = torch.randn(6, 3, dtype=torch.float64)
    expected = 0.5 * finite_difference(critic, rows).square().sum(-1).mean()
    torch.testing.assert_close(r1(critic, rows), expected, rtol=1e-6, atol=1e-8)


def test_bernoulli_entropy_is_that_of_torch_distributions() -> None:
    logit = torch.linspace(-9, 9, 37, dtype=torch.float64)
    torch.testing.assert_close(bernoulli_entropy(logit), Bernoulli(logits=logit).entropy())


def test_bernoulli_entropy_is_minus_d_log_d_of_both_outcomes() -> None:
    logit = torch.linspace(-6, 6, 25, dtype=torch.float64)
    prob = torch.sigmoid(logit)
    torch.testing.assert_close(bernoulli_entropy(logit), -prob * prob.log() - (1 - prob) * (1 - prob).log())


def test_bernoulli_entropy_is_log_two_when_unsure_and_zero_when_sure() -> None:
    assert float(bernoulli_entropy(torch.zeros(()))) == pytest.approx(math.log(2))
    assert bernoulli_entropy(torch.tensor([-1e4, 1e4])).tolist() == [0, 0]
