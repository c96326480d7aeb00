"""Moments of networks with random weights, against integrals and samples."""

import math

import pytest
import torch
from torch.distributions import Normal

from rlgen.equations.moment_propagation import dense_moments, relu_moments

CASES = [(0.0, 1.0), (2.0, 0.25), (-1.5, 0.7), (0.3, 9.0), (8.0, 0.01), (-8.0, 1.0)]


@pytest.mark.parametrize(("mean", "std"), CASES)
def test_the_moments_of_a_rectified_gaussian_are_its_integrals(mean: float, std: float) -> None:
    points = torch.linspace(max(0.0, mean - 12 * std), max(0.0, mean + 12 * std) + 1e-9, 400_001, dtype=torch.float64)
    density = Normal(torch.tensor(mean, dtype=torch.float64), std).log_prob(points).exp()
    first, second = (torch.trapezoid(points**power * density, points) for power in (1, 2))
    at = torch.tensor([[mean]], dtype=torch.float64), torch.tensor([[std**2]], dtype=torch.float64)
    found_mean, found_var = relu_moments(*at)
    torch.testing.assert_close(found_mean[0, 0], first, rtol=1e-7, atol=1e-12)
    torch.testing.assert_close(found_var[0, 0], second - first**2, rtol=1e-6, atol=1e-12)


def test_a_narrow_unit_that_is_surely_on_keeps_its_variance_in_single_precision() -> None:
    _, var = relu_moments(torch.tensor([[50.0]]), torch.tensor([[1e-6]]))
    assert float(var) == pytest.approx(1e-6, rel=1e-4)
    _, var = relu_moments(torch.tensor([[-50.0]]), torch.tensor([[1e-6]]))
    assert float(var) == 0


def test_the_moments_of_a_dense_layer_are_those_of_samples() -> None:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    mean, var = normal(3, 4), normal(3, 4).square()
    weight_mean, weight_std, bias_mean, bias_std = normal(4, 2), normal(4, 2).abs(), normal(2), normal(2).abs()
    samples = 400_000
    inputs = mean + var.sqrt() * normal(samples, 3, 4)
    weights = weight_mean + weight_std * normal(samples, 4, 2)
    outputs = inputs @ weights + (bias_mean + bias_std * normal(samples, 1, 2))
    found = dense_moments(mean, var, weight_mean, weight_std, bias_mean, bias_std)
    for given, drawn in zip(found, (outputs.mean(0), outputs.var(0)), strict=True):
        torch.testing.assert_close(given, drawn, rtol=0.02, atol=0.02)
    fixed = dense_moments(mean, None, weight_mean, weight_std, bias_mean, bias_std)
    torch.testing.assert_close(fixed[0], mean @ weight_mean + bias_mean)
    torch.testing.assert_close(fixed[1], mean.square() @ weight_std.square() + bias_std.square())


def test_a_unit_at_zero_has_the_known_moments() -> None:
    mean, var = relu_moments(torch.zeros(1, 1), torch.ones(1, 1))
    assert float(mean) == pytest.approx(1 / math.sqrt(2 * math.pi))
    assert float(var) == pytest.approx(0.5 - 1 / (2 * math.pi))
