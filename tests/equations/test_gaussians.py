"""Gaussian densities and divergences against torch.distributions, quadrature and derivatives known on paper."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from rlgen.equations.gaussians import gaussian_log_prob, gaussian_score, kl_gaussian, kl_gaussian_gradient

means, stds = st.floats(-5, 5), st.floats(0.01, 20)


def scalar(number: float) -> Tensor:
    return torch.tensor([number], dtype=torch.float64)


@given(means, means, stds)
def test_log_prob_is_that_of_torch_distributions(x: float, mean: float, std: float) -> None:
    expected = Normal(scalar(mean), scalar(std)).log_prob(scalar(x))
    torch.testing.assert_close(gaussian_log_prob(scalar(x), scalar(mean), scalar(std)), expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(gaussian_log_prob(scalar(x), scalar(mean), std), expected, rtol=1e-12, atol=0)


def test_the_density_integrates_to_one() -> None:
    x = torch.linspace(-20, 22, 100_001, dtype=torch.float64)
    density = gaussian_log_prob(x, torch.ones_like(x), 1.7).exp()
    assert float(torch.trapezoid(density, x)) == pytest.approx(1, abs=1e-12)


def test_the_score_is_the_derivative_of_the_log_prob_by_the_mean() -> None:
    x, mean = torch.randn(2, 9, dtype=torch.float64)
    std = torch.rand(9, dtype=torch.float64) + 0.1
    (derivative,) = torch.autograd.grad(Normal(mean.requires_grad_(), std).log_prob(x).sum(), mean)
    torch.testing.assert_close(gaussian_score(x, mean.detach(), std), derivative)
    assert gaussian_score(torch.tensor([3.0]), torch.tensor([1.0]), 2.0).item() == 0.5


def test_targets_meet_every_sample_and_every_output_its_own_deviation() -> None:
    y, output, std = torch.randn(4, 2), torch.randn(3, 4, 2), torch.tensor([0.5, 2.0])
    log_prob = gaussian_log_prob(y, output, std)
    assert log_prob.shape == (3, 4, 2)
    torch.testing.assert_close(log_prob[1, 2, 1], Normal(output[1, 2, 1], 2.0).log_prob(y[2, 1]))


@given(means, stds, means, stds)
def test_kl_is_that_of_torch_distributions(mean: float, std: float, prior_mean: float, prior_std: float) -> None:
    ours = kl_gaussian(scalar(mean), scalar(std), scalar(prior_mean), scalar(prior_std))
    expected = kl_divergence(Normal(scalar(mean), scalar(std)), Normal(scalar(prior_mean), scalar(prior_std)))
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-13)
    torch.testing.assert_close(kl_gaussian(scalar(mean), scalar(std), prior_mean, prior_std), ours)


def test_kl_is_an_expected_difference_of_log_probs() -> None:
    mean, std, prior_mean, prior_std = 0.4, 0.6, -0.2, 1.1
    x = torch.linspace(-10, 10, 100_001, dtype=torch.float64)
    own = gaussian_log_prob(x, torch.full_like(x, mean), std)
    prior = gaussian_log_prob(x, torch.full_like(x, prior_mean), prior_std)
    by_quadrature = torch.trapezoid(own.exp() * (own - prior), x)
    assert float(kl_gaussian(scalar(mean), scalar(std), prior_mean, prior_std)) == pytest.approx(float(by_quadrature))


@given(means, stds)
def test_kl_of_identical_gaussians_is_exactly_zero(mean: float, std: float) -> None:
    assert kl_gaussian(scalar(mean), scalar(std), scalar(mean), scalar(std)).item() == 0


def test_kl_of_twice_the_deviation_is_known_on_paper() -> None:
    assert kl_gaussian(scalar(0), scalar(2), 0.0, 1.0).item() == pytest.approx(1.5 - math.log(2))
    assert kl_gaussian(scalar(3), scalar(1), 1.0, 1.0).item() == pytest.approx(2)


@pytest.mark.parametrize("share", [1e-2, 1e-3, 3e-4])
def test_kl_of_nearly_identical_gaussians_survives_float32(share: float) -> None:
    # log(p/s) + s²/2p² - ½ in float32 is off by 1e-7 whatever the distance: the whole of it at share 3e-4.
    std, prior_std = torch.tensor([0.5 * (1 + share)]), torch.tensor([0.5])
    exact = kl_gaussian(torch.zeros(1).double(), std.double(), 0.0, prior_std.double()).item()
    assert kl_gaussian(torch.zeros(1), std, 0.0, prior_std).item() == pytest.approx(exact, rel=2e-3)


def test_kl_stays_finite_far_from_the_prior() -> None:
    mean, std = torch.zeros(3), torch.tensor([1e-30, 1e-8, 1e8])
    exact = kl_divergence(Normal(mean.double(), std.double()), Normal(mean.double(), 0.5))
    torch.testing.assert_close(kl_gaussian(mean, std, 0.0, 0.5), exact.float())


def test_the_hessian_at_the_prior_is_one_over_the_variance_for_a_mean_and_fishers_for_rho() -> None:
    # What the step of the information gain divides by: 1/σ² for μ and 2 (dσ/dρ)²/σ² for ρ, σ = log(1 + exp ρ).
    old_mean, old_rho = scalar(0.3), scalar(-0.7)
    std = torch.nn.functional.softplus(old_rho)

    def divergence(mean: Tensor, rho: Tensor) -> Tensor:
        return kl_gaussian(mean, torch.nn.functional.softplus(rho), old_mean, std).sum()

    hessian = torch.autograd.functional.hessian(divergence, (old_mean, old_rho))
    torch.testing.assert_close(hessian[0][0].flatten(), 1 / std**2)
    torch.testing.assert_close(hessian[1][1].flatten(), 2 * torch.sigmoid(old_rho) ** 2 / std**2)
    assert hessian[0][1].item() == 0


def test_the_gradient_of_the_kl_is_that_of_autograd_and_of_differences() -> None:
    mean, std = scalar(0.3).requires_grad_(), scalar(0.4).requires_grad_()
    of_mean, of_std = kl_gaussian_gradient(mean.detach(), std.detach(), 0.1, 0.7)
    by_autograd = torch.autograd.grad(kl_gaussian(mean, std, 0.1, 0.7).sum(), (mean, std))
    torch.testing.assert_close((of_mean, of_std), by_autograd, rtol=1e-12, atol=0)
    step = 1e-6
    with torch.no_grad():
        difference = (kl_gaussian(mean + step, std, 0.1, 0.7) - kl_gaussian(mean - step, std, 0.1, 0.7)) / (2 * step)
        torch.testing.assert_close(of_mean, difference, rtol=1e-8, atol=0)
        difference = (kl_gaussian(mean, std + step, 0.1, 0.7) - kl_gaussian(mean, std - step, 0.1, 0.7)) / (2 * step)
        torch.testing.assert_close(of_std, difference, rtol=1e-8, atol=0)
