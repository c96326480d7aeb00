"""The expected information gain, against integrals and determinants."""

import math

import pytest
import torch

from rlgen.equations.exploration_bonuses import expected_information_gain


def test_it_is_at_most_that_of_the_gaussian_and_at_least_that_of_two_outcomes() -> None:
    """The function is +1 or -1 with equal probability: the mutual information is known by an integral."""
    std, points = 0.5, torch.linspace(-8, 8, 200_001, dtype=torch.float64)
    density = 0.5 * sum(torch.distributions.Normal(place, std).log_prob(points).exp() for place in (-1.0, 1.0))
    entropy = -torch.trapezoid(torch.special.xlogy(density, density), points)
    information = float(entropy) - 0.5 * math.log(2 * math.pi * math.e * std**2)
    bound = float(expected_information_gain(torch.ones(1, 1), std))
    assert 0.6 < information < math.log(2) < bound == pytest.approx(0.5 * math.log(5))


def test_of_outputs_that_share_no_weights_it_is_the_logarithm_of_the_determinant() -> None:
    """I(f; f + noise) = ½ log det(1 + V/σ²); with correlated outputs the sum is an upper bound (Hadamard)."""
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    noise = torch.tensor([0.3, 0.7, 1.1], dtype=torch.float64)
    var = factor @ factor.T
    for covariance, exact in ((torch.diag(var.diagonal()), True), (var, False)):
        scaled = torch.eye(3, dtype=torch.float64) + covariance / noise[:, None] / noise
        information = 0.5 * float(torch.logdet(scaled))
        found = float(expected_information_gain(var.diagonal()[None], noise))
        assert found == pytest.approx(information) if exact else found > information
