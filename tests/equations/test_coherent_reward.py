"""CSIL's reward against the policy it is optimal for, its refinement against known divergences, and periodic features
against their closed form."""

import math

import pytest
import torch
from torch.distributions import Normal

from rlgen.equations.coherent_reward import (
    LOWEST_REWARD,
    action_gradient_norm,
    coherent_reward,
    refinement_loss,
    triangle_wave,
)


def test_the_best_policy_under_the_reward_is_the_cloned_one() -> None:
    # p exp(r / α), normalized, maximizes E[r] - α KL(· ‖ p).
    actions, alpha = torch.linspace(-4, 4, 4001), 0.5
    cloned, prior = Normal(0.7, 0.4), Normal(0.0, 1.0)
    reward = coherent_reward(cloned.log_prob(actions), prior.log_prob(actions), alpha)
    best = prior.log_prob(actions).exp() * (reward / alpha).exp()
    best = best / torch.trapezoid(best, actions)
    torch.testing.assert_close(best, cloned.log_prob(actions).exp(), atol=1e-4, rtol=1e-3)


def test_its_mean_over_the_clones_actions_is_the_divergence_from_the_prior() -> None:
    torch.manual_seed(0)
    cloned, prior = Normal(0.7, 0.4), Normal(0.0, 1.0)
    actions = cloned.sample((100_000,))
    mean = coherent_reward(cloned.log_prob(actions), prior.log_prob(actions), 1.0).mean()
    assert float(mean) == pytest.approx(float(torch.distributions.kl_divergence(cloned, prior)), abs=0.01)


def test_the_refinement_is_minus_the_experts_log_ratio_plus_an_estimate_of_a_divergence() -> None:
    torch.manual_seed(0)
    cloned, prior = Normal(0.3, 0.8), Normal(0.0, 1.0)
    actions = cloned.sample((200_000,))
    ratio = cloned.log_prob(actions) - prior.log_prob(actions)
    divergence = float(torch.distributions.kl_divergence(cloned, prior))
    assert float(refinement_loss(torch.tensor([2.0, 4.0]), ratio)) == pytest.approx(divergence - 3, abs=0.01)


def test_the_refinement_raises_the_experts_and_moves_the_policys_log_ratio_towards_0() -> None:
    expert, policy = torch.tensor([1.0, -1.0], requires_grad=True), torch.tensor([2.0, -2.0], requires_grad=True)
    refinement_loss(expert, policy).backward()
    assert expert.grad is not None
    assert policy.grad is not None
    assert expert.grad.tolist() == [-0.5, -0.5]
    assert policy.grad.tolist() == pytest.approx([(1 - math.exp(-2)) / 2, (1 - math.exp(2)) / 2])


def test_a_single_low_reward_counts_as_the_lowest_and_has_no_gradient() -> None:
    low = torch.tensor([-50.0], requires_grad=True)
    found = refinement_loss(torch.zeros(1), low)
    assert float(found.detach()) == pytest.approx(math.exp(-LOWEST_REWARD) - 1 + LOWEST_REWARD, rel=1e-5)
    (gradient,) = torch.autograd.grad(found, low)
    assert float(gradient) == 0


def test_the_wave_is_the_arcsine_of_the_sine_and_has_a_mean_square_of_about_1() -> None:
    x = torch.linspace(-4 * math.pi, 4 * math.pi, 8001).double()
    torch.testing.assert_close(triangle_wave(x), math.pi / (2 * math.sqrt(2)) * torch.asin(torch.sin(x)))
    assert float(triangle_wave(x).square().mean()) == pytest.approx(1, abs=0.05)


def test_the_wave_has_the_period_and_the_slope_of_a_sine() -> None:
    x = torch.tensor([0.1, 1.0, 2.0, 4.0]).double()
    torch.testing.assert_close(triangle_wave(x + 2 * math.pi), triangle_wave(x))
    torch.testing.assert_close(triangle_wave(x + math.pi), -triangle_wave(x))
    step = 1e-6
    slope = (triangle_wave(x + step) - triangle_wave(x - step)) / (2 * step)
    torch.testing.assert_close(slope.sign(), torch.cos(x).sign())


def test_the_action_gradient_norm_of_a_linear_critic_is_its_slope() -> None:
    actions = torch.randn(9, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad((actions @ torch.tensor([3.0, -4.0])).sum(), actions)
    assert float(action_gradient_norm(gradient)) == pytest.approx(5)


def test_the_action_gradient_norm_is_the_root_of_the_mean_square() -> None:
    assert float(action_gradient_norm(torch.tensor([[1.0, 0.0], [0.0, 7.0]]))) == pytest.approx(5)
