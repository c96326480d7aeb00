"""Divergences against quadrature, torch.distributions, autograd and the sigmoid written out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from rlgen.equations.divergences import (
    DIVERGENCES,
    log_d_reward,
    log_ratio_reward,
    logistic_discriminator_loss,
    minimax_generator_loss,
    non_saturating_generator_loss,
    reverse_kl_generator_loss,
    survival_reward,
)

EXPERT = Normal(torch.tensor(1.0, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))
POLICY = Normal(torch.tensor(-0.5, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64))


def nodes(distribution: Normal, count: int = 20_000) -> Tensor:
    """Midpoints of equally probable slices [count]: their plain mean is an integral over the distribution."""
    return distribution.icdf((torch.arange(count, dtype=torch.float64) + 0.5) / count)


def log_ratio(x: Tensor) -> Tensor:
    """log(p_expert / p_policy)."""
    return EXPERT.log_prob(x) - POLICY.log_prob(x)


def jensen_shannon() -> float:
    """JS(expert, policy) in nats by the trapezoidal rule on the line, without any discriminator."""
    x = torch.linspace(-15, 15, 40_001, dtype=torch.float64)
    p, q = EXPERT.log_prob(x), POLICY.log_prob(x)
    middle = torch.logaddexp(p, q) - math.log(2)
    return float(torch.trapezoid(0.5 * (p.exp() * (p - middle) + q.exp() * (q - middle)), x))


def test_the_loss_is_binary_cross_entropy_of_expert_one_and_policy_zero() -> None:
    expert, policy = torch.randn(7), torch.randn(5)
    as_labels = F.binary_cross_entropy_with_logits(expert, torch.ones(7)) + F.binary_cross_entropy_with_logits(
        policy, torch.zeros(5)
    )
    written_out = -torch.sigmoid(expert).log().mean() - (1 - torch.sigmoid(policy)).log().mean()
    torch.testing.assert_close(logistic_discriminator_loss(expert, policy), as_labels)
    torch.testing.assert_close(logistic_discriminator_loss(expert, policy), written_out)


def test_the_least_loss_is_two_log_two_minus_two_jensen_shannon() -> None:
    least = logistic_discriminator_loss(log_ratio(nodes(EXPERT)), log_ratio(nodes(POLICY)))
    assert float(least) == pytest.approx(2 * math.log(2) - 2 * jensen_shannon(), rel=1e-4)


def test_the_loss_of_equal_distributions_is_two_log_two() -> None:
    assert float(logistic_discriminator_loss(torch.zeros(3), torch.zeros(4))) == pytest.approx(2 * math.log(2))


def test_the_best_quadratic_logit_of_two_gaussians_is_their_log_ratio() -> None:
    def features(x: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(x), x, x.square()], -1)

    expert, policy = features(nodes(EXPERT, 4000)), features(nodes(POLICY, 4000))
    weights = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = logistic_discriminator_loss(expert @ weights, policy @ weights)
        loss.backward()
        return loss

    optimiser.step(closure)
    x = torch.linspace(-2, 3, 11, dtype=torch.float64)
    torch.testing.assert_close(features(x) @ weights.detach(), log_ratio(x), rtol=0, atol=0.02)


def test_the_loss_rises_on_either_side_of_the_log_ratio() -> None:
    expert, policy = log_ratio(nodes(EXPERT)), log_ratio(nodes(POLICY))
    least = logistic_discriminator_loss(expert, policy)
    assert logistic_discriminator_loss(1.1 * expert, 1.1 * policy) > least
    assert logistic_discriminator_loss(0.9 * expert, 0.9 * policy) > least


@given(st.floats(-15, 15))
def test_rewards_are_logarithms_of_d(number: float) -> None:
    logit = torch.tensor([number], dtype=torch.float64)
    prob = torch.sigmoid(logit)
    torch.testing.assert_close(survival_reward(logit), -(1 - prob).log(), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(log_d_reward(logit), prob.log(), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(log_ratio_reward(logit), prob.log() - (1 - prob).log(), rtol=1e-6, atol=1e-6)


def test_rewards_of_extreme_logits_are_finite_and_of_the_promised_sign() -> None:
    logit = torch.tensor([-1e4, -50.0, 0.0, 50.0, 1e4])
    assert (survival_reward(logit) >= 0).all()
    assert (log_d_reward(logit) <= 0).all()
    for divergence in DIVERGENCES.values():
        assert divergence.reward(logit).isfinite().all()


def test_at_d_one_half_survival_pays_log_two_and_the_log_ratio_nothing() -> None:
    zero = torch.zeros(1)
    assert float(survival_reward(zero)) == pytest.approx(math.log(2))
    assert float(log_d_reward(zero)) == pytest.approx(-math.log(2))
    assert float(log_ratio_reward(zero)) == 0


@pytest.mark.parametrize("name", DIVERGENCES)
def test_every_reward_rises_with_the_logit(name: str) -> None:
    assert (DIVERGENCES[name].reward(torch.linspace(-8, 8, 33)).diff() > 0).all()


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_generators_descent_raises_every_logit(name: str) -> None:
    logit = torch.linspace(-6, 6, 13, requires_grad=True)
    DIVERGENCES[name].generator_loss(logit).backward()
    assert logit.grad is not None
    assert (logit.grad < 0).all()


@pytest.mark.parametrize("name", DIVERGENCES)
def test_the_generators_gradient_is_that_of_a_finite_difference(name: str) -> None:
    logit = torch.linspace(-3, 3, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(DIVERGENCES[name].generator_loss, (logit,))


def test_generator_losses_are_expectations_of_logarithms_of_d() -> None:
    logit = torch.randn(9, dtype=torch.float64)
    prob = torch.sigmoid(logit)
    torch.testing.assert_close(minimax_generator_loss(logit), (1 - prob).log().mean())
    torch.testing.assert_close(non_saturating_generator_loss(logit), -prob.log().mean())
    torch.testing.assert_close(reverse_kl_generator_loss(logit), ((1 - prob).log() - prob.log()).mean())


def test_at_the_best_discriminator_the_reverse_kl_loss_is_the_reverse_kl() -> None:
    loss = reverse_kl_generator_loss(log_ratio(nodes(POLICY)))
    assert float(loss) == pytest.approx(float(kl_divergence(POLICY, EXPERT)), rel=1e-3)


def test_at_the_best_discriminator_the_reverse_kl_reward_is_the_mean_log_ratio() -> None:
    reward = DIVERGENCES["reverse_kl"].reward(log_ratio(nodes(EXPERT))).mean()
    assert float(reward) == pytest.approx(float(kl_divergence(EXPERT, POLICY)), rel=1e-3)


def test_only_the_minimax_generator_stops_learning_when_found_out() -> None:
    logit = torch.tensor([-12.0], requires_grad=True)
    saturated = torch.autograd.grad(minimax_generator_loss(logit), logit)[0]
    alive = torch.autograd.grad(non_saturating_generator_loss(logit), logit)[0]
    assert abs(float(saturated)) < 1e-4
    assert float(alive) == pytest.approx(-1, abs=1e-4)


def test_gail_pays_survival_airl_the_log_ratio() -> None:
    assert DIVERGENCES["minimax"].reward is survival_reward
    assert DIVERGENCES["non_saturating"].reward is log_d_reward
    assert DIVERGENCES["reverse_kl"].reward is log_ratio_reward
