"""Penalties against closed forms, finite differences and torch.distributions."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli

from rlgen.equations.penalties import (
    bernoulli_entropy,
    commitment,
    dual_ascent,
    feature_matching,
    gradient_penalty,
    historical_average_distance,
    input_gradient,
    mixup_discriminator_loss,
    multiplied_weight,
    r1,
    squared_change,
)

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


@pytest.mark.parametrize(("slope", "center"), [(3.0, 1.0), (0.5, 1.0), (3.0, 0.0), (2.0, 0.25)])
def test_gradient_penalty_of_a_linear_critic_is_its_slope_from_the_center(slope: float, center: float) -> None:
    expert, policy = torch.randn(2, 5, 3, dtype=torch.float64)
    penalty = gradient_penalty(linear(slope * WEIGHTS), expert, policy, center)
    assert float(penalty) == pytest.approx((slope - center) ** 2)


@pytest.mark.parametrize("center", [0.0, 1.0])
def test_gradient_penalty_is_a_finite_difference(critic, center: float) -> None:
    rows = torch.randn(6, 3, dtype=torch.float64)
    expected = (finite_difference(critic, rows).norm(dim=-1) - center).square().mean()
    # Between a row and itself lies only the row, whatever share is drawn.
    torch.testing.assert_close(gradient_penalty(critic, rows, rows, center), expected, rtol=1e-6, atol=1e-8)


def test_mixup_is_the_cross_entropy_with_the_shares_as_labels(critic) -> None:
    real, fake = torch.randn(2, 6, 3).double()
    torch.manual_seed(3)
    found = mixup_discriminator_loss(critic, real, fake)
    torch.manual_seed(3)
    share = torch.rand(6, 1, dtype=real.dtype)
    logit = critic(share * real + (1 - share) * fake)
    expected = nn.functional.binary_cross_entropy_with_logits(logit, share[:, 0])
    torch.testing.assert_close(found, expected)


def test_the_best_mixup_critic_gives_the_share_and_its_loss_is_half_a_nat() -> None:
    # The integral over [0, 1] of the entropy of a Bernoulli variable is 1/2.
    torch.manual_seed(0)
    real, fake = torch.ones(200_000, 1), torch.zeros(200_000, 1)
    best = float(mixup_discriminator_loss(lambda rows: torch.logit(rows[:, 0]), real, fake))
    assert best == pytest.approx(0.5, abs=0.002)
    assert best < float(mixup_discriminator_loss(lambda rows: 0.8 * torch.logit(rows[:, 0]), real, fake))


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


@pytest.fixture
def image_critic():
    """A smooth critic of images [B, 2, 4, 4], and the same of their flattened rows."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 1)).double()
    return lambda images: network(images).squeeze(-1), lambda rows: network(rows.view(-1, 2, 4, 4)).squeeze(-1)


def test_the_gradient_of_an_image_has_its_shape_and_is_that_of_the_flattened_row(image_critic) -> None:
    of_images, of_rows = image_critic
    images = torch.randn(5, 2, 4, 4, dtype=torch.float64)
    gradient = input_gradient(of_images, images)
    assert gradient.shape == images.shape
    torch.testing.assert_close(gradient.flatten(1), input_gradient(of_rows, images.flatten(1)))


@pytest.mark.parametrize("center", [0.0, 1.0])
def test_penalties_of_images_are_those_of_the_flattened_rows(image_critic, center: float) -> None:
    of_images, of_rows = image_critic
    real, fake = torch.randn(2, 5, 2, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(r1(of_images, real), r1(of_rows, real.flatten(1)))
    torch.manual_seed(3)
    penalty = gradient_penalty(of_images, real, fake, center)
    torch.manual_seed(3)
    torch.testing.assert_close(penalty, gradient_penalty(of_rows, real.flatten(1), fake.flatten(1), center))


def test_the_slope_of_a_linear_critic_of_images_is_measured_over_all_pixels() -> None:
    def critic(images: Tensor) -> Tensor:
        return images.flatten(1).sum(-1) / 3  # 18 pixels: slope √18 / 3 = √2

    real, fake = torch.randn(2, 4, 2, 3, 3, dtype=torch.float64)
    assert float(gradient_penalty(critic, real, fake)) == pytest.approx((math.sqrt(2) - 1) ** 2)
    assert float(gradient_penalty(critic, real, fake, 0.0)) == pytest.approx(2)
    assert float(r1(critic, real)) == pytest.approx(1)


def test_one_share_is_drawn_per_image() -> None:
    seen = []

    def critic(images: Tensor) -> Tensor:
        seen.append(images.detach())
        return images.flatten(1).sum(-1)

    gradient_penalty(critic, torch.ones(6, 2, 3, 3), torch.zeros(6, 2, 3, 3))
    shares = seen[0].flatten(1)
    assert (shares == shares[:, :1]).all()
    assert len(shares[:, 0].unique()) == 6


def test_feature_matching_is_the_squared_distance_of_the_means() -> None:
    real, fake = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.0, 3.0]])
    assert float(feature_matching(real, fake)) == pytest.approx((2 - 1) ** 2 + (3 - 1) ** 2)


def test_the_gradient_of_feature_matching_moves_all_generated_rows_alike() -> None:
    real, fake = torch.randn(6, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(feature_matching(real, fake), fake)
    expected = 2 * (fake.mean(0) - real.mean(0)) / 4
    torch.testing.assert_close(gradient, expected.expand(4, 3).detach())
    assert float(feature_matching(real, real[torch.randperm(6)])) == pytest.approx(0, abs=1e-12)


def test_historical_averaging_is_a_squared_distance_with_gradient_for_the_present_only() -> None:
    parameters, mean = torch.randn(5, requires_grad=True), torch.randn(5)
    distance = historical_average_distance(parameters, mean)
    expected = torch.dist(parameters.detach(), mean).square()
    torch.testing.assert_close(distance.detach(), expected)
    distance.backward()
    torch.testing.assert_close(parameters.grad, 2 * (parameters - mean).detach())


def test_dual_ascent_finds_the_multiplier_of_a_constrained_minimum() -> None:
    # min x² + β (1 - x) over x is x = β / 2; the constraint x ≥ 1 holds with β = 2.
    multiplier = torch.tensor(0.0, dtype=torch.float64)
    for _ in range(500):
        multiplier = dual_ascent(multiplier, 1 - multiplier / 2, 0.1)
    assert float(multiplier) == pytest.approx(2, abs=1e-6)


def test_a_multiplier_moves_by_the_step_and_never_below_zero() -> None:
    assert float(dual_ascent(torch.tensor(0.5), torch.tensor(2.0), 0.1)) == pytest.approx(0.7)
    assert float(dual_ascent(torch.tensor(0.1), torch.tensor(-2.0), 0.1)) == 0


def test_commitment_pulls_the_features_and_not_the_codes() -> None:
    features = torch.tensor([[1.0, 2.0]], requires_grad=True)
    codes = torch.tensor([[0.0, 4.0]], requires_grad=True)
    loss = commitment(features, codes)
    assert loss.item() == pytest.approx((1 + 4) / 2)
    loss.backward()
    assert features.grad is not None
    assert features.grad.tolist() == [[1.0, -2.0]]
    assert codes.grad is None


def test_the_change_is_the_mean_square_of_the_difference() -> None:
    now, before = torch.tensor([1.0, 4.0]), torch.tensor([0.0, 2.0])
    assert squared_change(now, before) == 2.5 == nn.functional.mse_loss(now, before)


@pytest.mark.parametrize(("change", "weight"), [(0.3, 4.0), (0.1, 1.0), (0.0, 1.0)])
def test_the_weight_is_multiplied_above_the_limit_and_divided_below(change: float, weight: float) -> None:
    assert multiplied_weight(torch.tensor(2.0), torch.tensor(change), 0.1, 2.0) == weight
