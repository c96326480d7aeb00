"""Diffusion against Gaussian data, of which the best denoiser is known, and against step-by-step noise."""

import math

import pytest
import torch

from rlgen.equations.diffusion import (
    LEAST_RATE,
    MOST_RATE,
    conditional_denoising_logit,
    denoising_error,
    denoising_logit,
    noisy,
    signal_shares,
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
