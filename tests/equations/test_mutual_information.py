"""Bounds of mutual information against joint distributions whose information is known."""

import math

import pytest
import torch
from torch.distributions import Normal

from rlgen.equations.variational_bounds import categorical_information, uniform_information, uniform_r2

JOINT = torch.tensor([[0.2, 0.05, 0.05], [0.05, 0.3, 0.05], [0.0, 0.1, 0.2]], dtype=torch.float64)
"""Probabilities of code (rows) and outcome (columns), in twentieths."""
CODES = torch.repeat_interleave(torch.arange(3).repeat_interleave(3), (20 * JOINT).round().long().flatten())
OUTCOMES = torch.repeat_interleave(torch.arange(3).repeat(3), (20 * JOINT).round().long().flatten())


def true_information() -> float:
    independent = JOINT.sum(1, keepdim=True) * JOINT.sum(0, keepdim=True)
    return float(torch.xlogy(JOINT, JOINT / independent).sum())


def test_with_the_true_posterior_the_bound_is_the_mutual_information() -> None:
    log_posterior = (JOINT / JOINT.sum(0)).clamp(min=1e-300).log()[:, OUTCOMES].T
    bound = categorical_information(log_posterior, CODES, JOINT.sum(1))
    assert float(bound) == pytest.approx(true_information(), rel=1e-9)


def test_with_another_guess_the_bound_is_smaller() -> None:
    log_posterior = (JOINT / JOINT.sum(0)).clamp(min=1e-3).log()[:, OUTCOMES].T
    for _ in range(5):
        worse = log_posterior + 0.5 * torch.randn(3, 3, dtype=torch.float64)[OUTCOMES]
        assert float(categorical_information(worse, CODES, JOINT.sum(1))) < true_information()


def test_a_perfect_guess_of_equal_categories_is_worth_log_k_and_a_blind_one_nothing() -> None:
    codes = torch.arange(10).repeat(3)
    sure = 50.0 * torch.nn.functional.one_hot(codes, 10)
    assert float(categorical_information(sure, codes)) == pytest.approx(math.log(10))
    assert float(categorical_information(torch.zeros(30, 10), codes)) == pytest.approx(0, abs=1e-6)
    same = categorical_information(sure, codes, torch.full((10,), 0.1))
    assert float(same) == pytest.approx(math.log(10), rel=1e-6)


def test_uniform_codes_seen_through_noise_give_their_mutual_information() -> None:
    # x = c + noise, c uniform on [-1, 1], noise N(0, s²) so small that the ends do not matter: I = log 2 - h(noise).
    torch.manual_seed(0)
    std = 0.01
    codes = 2 * torch.rand(50_000, 1, dtype=torch.float64) - 1
    seen = codes + std * torch.randn_like(codes)
    bound = uniform_information(seen, torch.full_like(seen, std), codes, -1.0, 1.0)
    expected = math.log(2) - float(Normal(0.0, std).entropy())
    assert float(bound) == pytest.approx(expected, abs=0.02)
    wider = uniform_information(seen, torch.full_like(seen, 2 * std), codes, -1.0, 1.0)
    assert wider < bound


def test_uniform_information_is_the_entropy_plus_the_log_probability_of_torch() -> None:
    mean, raw, codes = torch.randn(3, 7, 2, dtype=torch.float64)
    expected = 2 * math.log(3.0) + Normal(mean, raw.exp()).log_prob(codes).sum(-1).mean()
    torch.testing.assert_close(uniform_information(mean, raw.exp(), codes, -1.0, 2.0), expected)


def test_with_a_fixed_deviation_the_bound_about_uniform_codes_is_greatest_at_a_perfect_guess() -> None:
    codes = 2 * torch.rand(9, 2, dtype=torch.float64) - 1
    greatest = uniform_information(codes, torch.ones_like(codes), codes, -1.0, 1.0)
    assert float(greatest) == pytest.approx(2 * math.log(2 / math.sqrt(2 * math.pi)))  # -0.452
    assert uniform_information(codes + 0.1, torch.ones_like(codes), codes, -1.0, 1.0) < greatest


def test_a_perfect_guess_explains_all_variance_of_uniform_codes_and_their_middle_none() -> None:
    codes = torch.linspace(1, 4, 100_001, dtype=torch.float64)[:, None]
    assert float(uniform_r2(codes, codes, 1.0, 4.0)) == 1
    assert float(uniform_r2(torch.full_like(codes, 2.5), codes, 1.0, 4.0)) == pytest.approx(0, abs=1e-4)
    noisy = codes + 0.1 * torch.randn_like(codes)
    expected = 1 - (codes - noisy).var() / codes.var()
    assert float(uniform_r2(noisy, codes, 1.0, 4.0)) == pytest.approx(float(expected), abs=1e-4)
