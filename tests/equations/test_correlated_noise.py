"""Correlated action noise: its distribution, and which likelihood gives the gradient of the expected return."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from rlgen.equations.correlated_noise import autoregressive, coloured_noise, correlation_of, innovation

RHO, STEPS, STD = 0.8, 6, 0.4


def sequences(count: int, correlation: float, seed: int = 0, steps: int = STEPS) -> Tensor:
    """Noise [steps, count], the first step from N(0, 1)."""
    fresh = torch.randn(steps, count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    noise = [fresh[0]]
    for each in fresh[1:]:
        noise.append(autoregressive(noise[-1], each, correlation))
    return torch.stack(noise)


def test_every_step_has_variance_one_and_the_correlation_falls_with_the_distance() -> None:
    noise = sequences(400_000, RHO)
    expected = torch.tensor([[RHO ** abs(i - j) for i in range(STEPS)] for j in range(STEPS)], dtype=torch.float64)
    torch.testing.assert_close(torch.cov(noise), expected, rtol=0, atol=0.01)


def test_a_correlation_time_is_in_seconds() -> None:
    assert correlation_of(0.1, 0.01) == pytest.approx(math.exp(-0.1))
    assert correlation_of(0.1, 0.05) == pytest.approx(correlation_of(0.1, 0.01) ** 5)
    assert correlation_of(0.0, 0.01) == 0


def test_the_conditional_densities_are_those_of_the_sequence() -> None:
    mean, actions = torch.randn(STEPS, 1, dtype=torch.float64), torch.randn(STEPS, 1, dtype=torch.float64)
    rho = torch.full((STEPS, 1), RHO, dtype=torch.float64)
    rho[0] = 0
    before = torch.cat([mean[:1], mean[:-1]]), torch.cat([actions[:1], actions[:-1]])
    density = Normal(innovation(mean, before[0], rho), STD)
    found = density.log_prob(innovation(actions, before[1], rho)).sum() - 0.5 * torch.log1p(-rho.square()).sum()
    covariance = torch.tensor([[RHO ** abs(i - j) for i in range(STEPS)] for j in range(STEPS)], dtype=torch.float64)
    whole = MultivariateNormal(mean[:, 0], STD**2 * covariance).log_prob(actions[:, 0])
    torch.testing.assert_close(found, whole, rtol=1e-10, atol=0)


def estimated(
    conditional: bool, returns: Callable[[Tensor, Tensor], Tensor], count: int = 400_000, gain: float = -0.3
) -> tuple[Tensor, Tensor]:
    """Policy gradient E[score · return] in (gain, shift) of the policy a = gain · s + shift + noise, s' = s + 0.3 a
    from s = 0.5, and the derivative of the expected return by differentiating through the steps."""
    noise = sequences(count, RHO)
    policy = torch.tensor([gain, 0.2], dtype=torch.float64, requires_grad=True)

    def played(parameters: Tensor) -> tuple[Tensor, Tensor]:
        state, states, actions = torch.full((count,), 0.5, dtype=torch.float64), [], []
        for each in noise:
            actions.append(parameters[0] * state + parameters[1] + STD * each)
            states.append(state)
            state = state + 0.3 * actions[-1]
        return torch.stack([*states, state]), torch.stack(actions)

    (true,) = torch.autograd.grad(returns(*played(policy)).mean(), [policy])
    with torch.no_grad():
        states, actions = played(policy)
    means = (policy[0] * states[:-1] + policy[1]).unsqueeze(-1)
    taken = actions.unsqueeze(-1)
    if conditional:
        rho = torch.full((STEPS, 1, 1), RHO, dtype=torch.float64)
        rho[0] = 0
        before = torch.cat([means[:1], means[:-1]]), torch.cat([taken[:1], taken[:-1]])
        means, taken = innovation(means, before[0], rho), innovation(taken, before[1], rho)
    gains = returns(states, actions)
    score = Normal(means, STD).log_prob(taken).sum((0, 2))
    (found,) = torch.autograd.grad((score * (gains - gains.mean())).mean(), [policy])
    return found, true


def goal(states: Tensor, actions: Tensor) -> Tensor:
    return -(states[-1] - 1.5).square()


def test_the_gradient_of_conditional_densities_is_unbiased_and_that_of_marginal_ones_is_not() -> None:
    found, true = estimated(True, goal)
    torch.testing.assert_close(found, true, rtol=0.05, atol=0)
    biased, _ = estimated(False, goal)
    assert (biased / true > 2).all(), "a lasting deviation counts once per step"


def test_along_a_shift_the_gradient_of_marginal_densities_is_too_large_by_a_known_factor() -> None:
    """(1 + ρ) / (1 - ρ) for long episodes; for six steps the sum over the covariance, over six."""
    found, true = estimated(False, lambda states, actions: actions.sum(0), gain=0.0)
    assert float(true[1]) == pytest.approx(STEPS)
    factor = sum(RHO ** abs(i - j) for i in range(STEPS) for j in range(STEPS)) / STEPS
    assert float(found[1] / true[1]) == pytest.approx(factor, rel=0.03)
    long = sum(RHO ** abs(i - j) for i in range(500) for j in range(500)) / 500
    assert long == pytest.approx((1 + RHO) / (1 - RHO), rel=0.02)


@pytest.mark.parametrize("length", [64, 65])
@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0])
def test_coloured_noise_has_its_spectrum_and_variance_one(exponent: float, length: int) -> None:
    fresh = torch.randn(40_000, 2 * (length // 2 + 1), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    noise = coloured_noise(exponent, length, fresh)
    torch.testing.assert_close(noise.var(0), torch.ones(length, dtype=torch.float64), rtol=0, atol=0.05)
    power = torch.fft.rfft(noise).abs().square().mean(0)[1 : length // 2]
    frequencies = torch.fft.rfftfreq(length, dtype=torch.float64)[1 : length // 2]
    slope = torch.linalg.lstsq(
        torch.stack([frequencies.log(), torch.ones_like(frequencies)], 1), power.log()[:, None]
    ).solution[0]
    assert float(slope) == pytest.approx(-exponent, abs=0.03)
    if exponent == 0:
        torch.testing.assert_close(torch.cov(noise.T), torch.eye(length, dtype=torch.float64), rtol=0, atol=0.05)
