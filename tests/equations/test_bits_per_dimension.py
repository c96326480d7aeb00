"""Code lengths: uniform densities cost eight bits a number, Jacobians are autograd's."""

import math

import pytest
import torch
from torch.autograd.functional import jacobian
from torch.distributions import TransformedDistribution, Uniform
from torch.distributions.transforms import SigmoidTransform

from rlgen.equations.variational_bounds import (
    bits_per_dimension,
    dequantize,
    inverse_logit_transform,
    logit_transform,
)
from rlgen.errors import InputError


def pixels() -> torch.Tensor:
    return torch.randint(256, (5, 1, 2, 3), generator=torch.Generator().manual_seed(0)).double()


def test_a_uniform_density_on_the_unit_cube_costs_eight_bits() -> None:
    level = pixels()
    seen, log_determinant = dequantize(level, torch.rand_like(level))
    log_prob = Uniform(0.0, 1.0).log_prob(seen).flatten(1).sum(1)
    torch.testing.assert_close(bits_per_dimension(log_prob, 6, log_determinant), torch.full((5,), 8.0).double())


def test_a_uniform_distribution_over_levels_costs_eight_bits_without_preprocessing() -> None:
    log_prob = torch.full((2,), -6 * math.log(256))
    assert bits_per_dimension(log_prob, 6).tolist() == pytest.approx([8, 8])


def test_a_uniform_density_seen_through_a_logit_still_costs_eight_bits() -> None:
    # The logistic distribution is what the logit makes of a uniform one; the margin leaves out 2 of 20 parts of it.
    level, margin = pixels(), 0.05
    seen, first = dequantize(level, torch.rand_like(level))
    seen, second = logit_transform(seen, margin)
    logistic = TransformedDistribution(Uniform(0.0, 1.0), SigmoidTransform().inv)
    log_prob = (logistic.log_prob(seen) - math.log(1 - 2 * margin)).flatten(1).sum(1)
    torch.testing.assert_close(bits_per_dimension(log_prob, 6, first + second), torch.full((5,), 8.0).double())


def test_log_determinants_are_those_of_autograds_jacobian() -> None:
    level = pixels()[:1]
    noise = torch.rand_like(level)
    for transform, x in ((lambda x: dequantize(x, noise)[0], level), (lambda x: logit_transform(x)[0], level / 255)):
        matrix = jacobian(transform, x).reshape(6, 6)
        expected = torch.linalg.slogdet(matrix).logabsdet
        ours = dequantize(level, noise)[1] if x is level else logit_transform(x)[1]
        torch.testing.assert_close(ours[0], expected)


def test_dequantized_levels_stay_apart_and_inside_the_unit_interval() -> None:
    seen, _ = dequantize(torch.tensor([[0.0, 255.0]]), torch.tensor([[0.0, 0.999]]))
    assert seen.tolist() == [[0.0, pytest.approx(255.999 / 256)]]


def test_black_and_white_stay_finite_in_the_logit() -> None:
    seen, log_determinant = logit_transform(torch.tensor([[0.0, 1.0]]), 0.05)
    assert seen.tolist() == [pytest.approx([math.log(0.05 / 0.95), math.log(0.95 / 0.05)])]
    assert log_determinant.isfinite().all()


def test_black_and_white_are_as_exact_as_each_other_at_a_margin_of_a_millionth() -> None:
    ends = torch.tensor([[0.0], [1.0]])
    seen, log_determinant = logit_transform(ends, 1e-6)
    exact = logit_transform(ends.double(), 1e-6)
    torch.testing.assert_close(seen.double(), exact[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(log_determinant.double(), exact[1], rtol=1e-6, atol=0)
    assert torch.equal(seen[0], -seen[1])
    assert log_determinant[0] == log_determinant[1]


def test_the_highest_level_with_the_most_noise_is_at_most_one() -> None:
    highest = torch.tensor([[255.0]])
    seen, _ = dequantize(highest, torch.nextafter(torch.ones(1, 1), torch.zeros(1, 1)))
    assert seen.item() == 1  # float32 rounds
    assert logit_transform(seen)[0].isfinite().all()


def test_a_margin_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="margin"):
        logit_transform(torch.zeros(1, 1), 0.0)


@pytest.mark.parametrize("margin", [0.05, 1e-6])
def test_the_inverse_of_the_logit_returns_pixels_and_has_the_opposite_log_determinant(margin: float) -> None:
    x = pixels() / 255
    seen, log_determinant = logit_transform(x, margin)
    torch.testing.assert_close(inverse_logit_transform(seen, margin), x)
    matrix = jacobian(lambda y: inverse_logit_transform(y, margin), seen[:1]).reshape(6, 6)
    torch.testing.assert_close(torch.linalg.slogdet(matrix).logabsdet, -log_determinant[0])


def test_the_inverse_of_the_logit_by_hand() -> None:
    found = inverse_logit_transform(torch.tensor([[math.log(3.0), -torch.inf, torch.inf]]), 0.05)
    assert found.tolist() == [pytest.approx([0.7 / 0.9, -0.05 / 0.9, 0.95 / 0.9])]
