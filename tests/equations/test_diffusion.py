"""Diffusion against Gaussian data, of which the best denoiser is known, and against step-by-step noise."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from rlgen.equations.diffusion import (
    LEAST_RATE,
    MOST_RATE,
    added_noise,
    conditional_denoising_logit,
    cosine_signal_shares,
    denoised,
    denoising_error,
    denoising_logit,
    end_divergence,
    implicit_step,
    linear_signal_shares,
    noisy,
    signal_shares,
    step_divergence,
)


def test_the_signal_falls_from_nearly_all_to_nearly_none_whatever_the_number_of_steps() -> None:
    for steps in (10, 1000):
        shares = signal_shares(steps)
        assert len(shares) == steps
        assert (shares.diff() < 0).all()
        assert shares[-1] < 1e-4
    assert signal_shares(1000)[0] > 0.999


def test_the_shares_are_the_product_of_many_small_steps_of_noise() -> None:
    # α_t = 1 - β(t / T) / T, β linear: with many steps, the product of Ho et al. 2020 is the integral of Song et al.
    steps = 100_000
    rates = torch.linspace(LEAST_RATE, MOST_RATE, steps, dtype=torch.float64) / steps
    products = torch.cumprod(1 - rates, 0)
    torch.testing.assert_close(
        signal_shares(10), products[steps // 10 - 1 :: steps // 10].float(), rtol=2e-3, atol=1e-6
    )


def test_noisy_rows_keep_their_variance_and_their_share_of_the_signal() -> None:
    torch.manual_seed(0)
    rows, noise = torch.randn(20_000, 2), torch.randn(20_000, 2)
    mixed = noisy(rows, noise, torch.full((20_000,), 0.3))
    assert mixed.var().item() == pytest.approx(1, abs=0.02)
    assert (mixed * rows).mean().item() == pytest.approx(math.sqrt(0.3), abs=0.02)
    assert (mixed * noise).mean().item() == pytest.approx(math.sqrt(0.7), abs=0.02)


def test_the_best_denoiser_of_gaussian_rows_errs_by_the_conditional_variance() -> None:
    torch.manual_seed(0)
    rows, noise, share = torch.randn(50_000, 3), torch.randn(50_000, 3), torch.full((50_000,), 0.4)
    best = noisy(rows, noise, share) * math.sqrt(0.6)  # E[ε | x_t], x_t of unit variance
    assert denoising_error(noise, best).mean().item() == pytest.approx(1 - 0.6, abs=0.01)  # Var[ε | x_t]


def test_the_logit_of_an_error_is_that_of_its_exponential() -> None:
    error = torch.tensor([0.01, math.log(2), 3.0], dtype=torch.float64)
    torch.testing.assert_close(denoising_logit(error), torch.logit(torch.exp(-error)))
    assert denoising_logit(torch.zeros(1)).isfinite().all()


def test_the_conditional_logit_is_that_of_the_softmax_of_two_errors() -> None:
    errors = torch.rand(6, 2, dtype=torch.float64)
    scale = torch.tensor(3.0, dtype=torch.float64)
    expert = torch.softmax(-scale * errors, 1)[:, 0]
    torch.testing.assert_close(conditional_denoising_logit(errors[:, 0], errors[:, 1], scale), torch.logit(expert))


@pytest.mark.parametrize("schedule", [linear_signal_shares, cosine_signal_shares])
def test_both_schedules_fall_from_nearly_all_to_nearly_none(schedule) -> None:
    for steps in (50, 1000):
        shares = schedule(steps)
        assert len(shares) == steps
        assert (shares.diff() < 0).all()
        assert 0.98 < shares[0] < 1
        assert 0 < shares[-1] < 1e-4


def test_the_linear_schedule_is_the_product_over_steps() -> None:
    product, expected = 1.0, []
    for step in range(1000):
        product *= 1 - (1e-4 + (0.02 - 1e-4) * step / 999)
        expected.append(product)
    torch.testing.assert_close(linear_signal_shares(1000), torch.tensor(expected), rtol=1e-5, atol=1e-9)


def test_half_of_the_cosine_schedule_is_left_in_the_middle() -> None:
    assert cosine_signal_shares(1000)[499].item() == pytest.approx(0.5, abs=0.01)


def test_removing_the_noise_that_was_added_gives_the_data() -> None:
    torch.manual_seed(0)
    images, noise = torch.randn(2, 3, 2, 2, 2, dtype=torch.float64)
    share = torch.tensor([0.9, 0.5, 0.01], dtype=torch.float64)
    torch.testing.assert_close(denoised(noisy(images, noise, share), noise, share), images)


def test_the_noise_between_data_and_noisy_data_is_what_was_added() -> None:
    torch.manual_seed(0)
    images, noise = torch.randn(2, 3, 2, 2, 2, dtype=torch.float64)
    share = torch.tensor([0.9, 0.5, 0.01], dtype=torch.float64)
    torch.testing.assert_close(added_noise(noisy(images, noise, share), images, share), noise)


def bayes(x: float, x_t: float, to: float, origin: float) -> tuple[float, float]:
    """Mean and variance of q(x_{t-1} | x_t, x_0): the product of q(x_t | x_{t-1}) and q(x_{t-1} | x_0), as functions of
    x_{t-1}."""
    alpha = origin / to
    precision = alpha / (1 - alpha) + 1 / (1 - to)
    mean = (math.sqrt(alpha) * x_t / (1 - alpha) + math.sqrt(to) * x / (1 - to)) / precision
    return mean, 1 / precision


def test_an_ancestral_step_is_the_posterior_of_the_step_before() -> None:
    to, origin = 0.7, 0.6
    column = [torch.tensor([each], dtype=torch.float64) for each in (to, origin)]
    for x, epsilon in ((0.3, -1.2), (-2.0, 0.4)):
        data, noise = (torch.tensor([[each]], dtype=torch.float64) for each in (x, epsilon))
        x_t = noisy(data, noise, column[1]).item()
        mean, variance = bayes(x, x_t, to, origin)
        nothing = torch.zeros_like(data)
        assert implicit_step(data, noise, nothing, *column, eta=1.0).item() == pytest.approx(mean, abs=1e-12)
        moved = implicit_step(data, noise, nothing + 1, *column, eta=1.0).item() - mean
        assert moved**2 == pytest.approx(variance, abs=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_a_step_from_true_noise_has_the_noise_of_where_it_leads(eta: float) -> None:
    torch.manual_seed(0)
    data, noise, fresh = torch.full((40_000, 1), 2.0), torch.randn(40_000, 1), torch.randn(40_000, 1)
    to, origin = torch.full((40_000,), 0.8), torch.full((40_000,), 0.3)
    found = implicit_step(data, noise, fresh, to, origin, eta)
    assert found.mean().item() == pytest.approx(2 * math.sqrt(0.8), abs=0.01)
    assert found.var().item() == pytest.approx(0.2, abs=0.005)


def test_the_last_step_leads_to_the_data() -> None:
    data, noise = torch.randn(2, 4, 3)
    there, origin = torch.ones(4), torch.full((4,), 0.9)
    assert torch.equal(implicit_step(data, noise, noise, there, origin, eta=1.0), data)


def test_the_divergence_of_a_step_is_that_of_its_gaussians() -> None:
    to, origin, x_t = 0.7, 0.6, 0.2
    data, guess = torch.tensor([[0.3, -0.5]]), torch.tensor([[0.1, 0.4]])
    expected = torch.zeros(())
    for x, other in zip(data[0].tolist(), guess[0].tolist(), strict=True):
        (mean, variance), (other_mean, _) = bayes(x, x_t, to, origin), bayes(other, x_t, to, origin)
        expected = expected + kl_divergence(Normal(mean, math.sqrt(variance)), Normal(other_mean, math.sqrt(variance)))
    found = step_divergence(data, guess, torch.tensor([to]), torch.tensor([origin]))
    torch.testing.assert_close(found, expected[None])


def test_the_divergence_of_the_end_is_that_from_a_standard_normal() -> None:
    data, share = torch.randn(5, 2, 3, dtype=torch.float64), torch.tensor(0.2, dtype=torch.float64)
    last = Normal(share.sqrt() * data, (1 - share).sqrt().expand_as(data))
    expected = kl_divergence(last, Normal(torch.zeros_like(data), torch.ones_like(data))).flatten(1).sum(1)
    torch.testing.assert_close(end_divergence(data, share), expected)
