"""Bounds on the evidence, held to the exact one of a linear Gaussian model."""

import itertools

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from rlgen.equations.variational_bounds import elbo, free_bits, importance_weighted_bound


class LinearGaussian:
    """z ~ N(0, 1)², x = A z + b + noise: evidence and posterior in closed form. All float64."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.matrix = torch.tensor([[1.0, 0.8], [0.6, 0.9], [0.2, 0.7]]).double()
        self.offset = torch.randn(3).double()
        self.noise = 0.7
        self.prior = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
        self.x = torch.randn(4, 3).double()
        covariance = self.matrix @ self.matrix.T + self.noise**2 * torch.eye(3).double()
        self.log_prob = MultivariateNormal(self.offset, covariance).log_prob(self.x)
        self.precision = torch.eye(2).double() + self.matrix.T @ self.matrix / self.noise**2
        mean = (self.x - self.offset) @ self.matrix / self.noise**2 @ torch.linalg.inv(self.precision)
        self.posterior = MultivariateNormal(mean, precision_matrix=self.precision)

    def log_likelihood(self, z: Tensor) -> Tensor:
        return Normal(z @ self.matrix.T + self.offset, self.noise).log_prob(self.x).sum(-1)

    def mean_field(self) -> MultivariateNormal:
        """The best Gaussian without correlation: that of the same mean and the diagonal of the precision."""
        return MultivariateNormal(self.posterior.mean, precision_matrix=torch.diag(self.precision.diagonal()))


WORLD = LinearGaussian()


def test_with_the_exact_posterior_every_sample_of_the_elbo_is_the_evidence() -> None:
    z = WORLD.posterior.sample((5,))
    kl = WORLD.posterior.log_prob(z) - WORLD.prior.log_prob(z)
    torch.testing.assert_close(elbo(WORLD.log_likelihood(z), kl), WORLD.log_prob, rtol=0, atol=1e-10)
    log_weight = WORLD.log_likelihood(z) - kl
    torch.testing.assert_close(importance_weighted_bound(log_weight), WORLD.log_prob, rtol=0, atol=1e-10)


def test_the_elbo_is_short_of_the_evidence_by_the_divergence_from_the_posterior() -> None:
    q = WORLD.mean_field()
    z = q.sample((200_000,))
    bound = elbo(WORLD.log_likelihood(z), kl_divergence(q, WORLD.prior))
    gap = kl_divergence(q, WORLD.posterior)
    assert gap.min() > 0.1
    torch.testing.assert_close(bound, WORLD.log_prob - gap, rtol=0, atol=0.02)


def test_a_kl_in_closed_form_and_one_of_samples_agree_on_average() -> None:
    q = WORLD.mean_field()
    z = q.sample((200_000,))
    closed = elbo(WORLD.log_likelihood(z), kl_divergence(q, WORLD.prior))
    sampled = elbo(WORLD.log_likelihood(z), q.log_prob(z) - WORLD.prior.log_prob(z))
    torch.testing.assert_close(sampled, closed, rtol=0, atol=0.02)


def test_beta_weighs_the_divergence_and_nothing_else() -> None:
    log_likelihood, kl = torch.randn(3, 4), torch.rand(4)
    torch.testing.assert_close(elbo(log_likelihood, kl, 4.0), log_likelihood.mean(0) - 4 * kl)
    torch.testing.assert_close(elbo(log_likelihood, kl[0]), log_likelihood.mean(0) - kl[0])


def test_more_importance_samples_bring_the_bound_up_to_the_evidence() -> None:
    q = WORLD.mean_field()
    z = q.sample((64, 5000))
    log_weight = WORLD.log_likelihood(z) + WORLD.prior.log_prob(z) - q.log_prob(z)
    means = []
    for count in (1, 2, 8, 64):
        bounds = importance_weighted_bound(log_weight[:count].flatten(1)).reshape(5000, 4)
        means.append(bounds.mean(0))
    gaps = [WORLD.log_prob - mean for mean in means]
    for fewer, more in itertools.pairwise(gaps):
        assert (more < fewer).all()
    assert (gaps[-1] < 0.5 * gaps[0]).all()
    assert (gaps[-1] > -0.02).all(), "no more than the noise of 5000 draws above the evidence"


def test_one_importance_sample_is_the_elbo() -> None:
    log_likelihood, kl = torch.randn(1, 6), torch.randn(1, 6)
    torch.testing.assert_close(importance_weighted_bound(log_likelihood - kl), elbo(log_likelihood, kl))


def test_the_gradient_weighs_each_samples_by_its_share_of_the_weights() -> None:
    log_weight = torch.randn(5, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad(importance_weighted_bound(log_weight).sum(), log_weight)
    torch.testing.assert_close(gradient, log_weight.detach().softmax(0))


def test_importance_weights_far_apart_do_not_overflow() -> None:
    log_weight = torch.tensor([[-1e5, 1e5], [-1e5, -1e5]])
    assert importance_weighted_bound(log_weight).tolist() == pytest.approx([-1e5, 1e5], rel=1e-5)


def test_free_bits_take_the_mean_over_rows_before_the_maximum() -> None:
    kl = torch.tensor([[0.0, 0.1], [2.0, 0.3]])
    assert free_bits(kl, 0.5).tolist() == pytest.approx([1.0, 0.5])  # row by row the first would be 1.25


def test_groups_below_the_level_count_with_it_and_have_no_gradient() -> None:
    kl = torch.tensor([[1.0, 0.1], [2.0, 0.3]], requires_grad=True)
    charged = free_bits(kl, 0.5)
    (gradient,) = torch.autograd.grad(charged.sum(), kl)
    assert gradient.tolist() == [[0.5, 0.0], [0.5, 0.0]]
    assert charged.sum().item() == pytest.approx(2.0), "masked groups would leave 1.5"


def test_no_free_bits_are_the_divergence() -> None:
    kl = torch.rand(5, 3)
    torch.testing.assert_close(free_bits(kl, 0.0).sum(), kl.sum(-1).mean())
