"""Couplings against autograd's Jacobian and torch.distributions, and the logistic density."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian
from torch.distributions import AffineTransform, Normal, SigmoidTransform, TransformedDistribution, Uniform

from rlgen.equations.flows import additive_coupling, affine_coupling, inverse_affine_coupling, logistic_log_prob

MASKS = {
    "row": torch.tensor([True, False, True, False, False]),
    "image": torch.tensor([[True, False, True], [False, True, False]]).expand(2, 2, 3),
    "channels of an image": torch.tensor([True, False])[:, None, None],
}
SHAPES = {"row": (5,), "image": (2, 2, 3), "channels of an image": (2, 2, 3)}
every_mask = pytest.mark.parametrize("name", MASKS)


def event(name: str, *batch: int) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(*batch, *SHAPES[name], dtype=torch.float64)


def of_unchanged(mask: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Shifts and log-scales that depend on all unchanged components."""

    def said(x: Tensor) -> tuple[Tensor, Tensor]:
        seen = torch.where(mask, x, 0.0)
        total = seen.sum(tuple(range(-mask.ndim, 0)), keepdim=True)
        return torch.sin(3 * total + seen), 0.5 * torch.cos(total - seen)

    return said


@every_mask
def test_log_determinants_are_those_of_autograds_jacobian(name: str) -> None:
    mask, said, x = MASKS[name], of_unchanged(MASKS[name]), event(name, 3)
    _, log_det = affine_coupling(x, *said(x), mask)
    assert log_det.shape == (3,)
    size = x[0].numel()
    for row in range(3):
        affine = jacobian(lambda x: affine_coupling(x, *said(x), mask)[0], x[row]).reshape(size, size)
        torch.testing.assert_close(log_det[row], torch.linalg.slogdet(affine).logabsdet)
        additive = jacobian(lambda x: additive_coupling(x, said(x)[0], mask), x[row]).reshape(size, size)
        assert torch.linalg.slogdet(additive).logabsdet.abs() < 1e-12


@every_mask
def test_a_coupling_changes_nothing_that_its_mask_keeps_and_has_an_inverse(name: str) -> None:
    mask, said, x = MASKS[name], of_unchanged(MASKS[name]), event(name, 2, 3)
    moved, log_det = affine_coupling(x, *said(x), mask)
    kept = mask.expand(x.shape)
    assert torch.equal(moved[kept], x[kept])
    assert (moved[~kept] != x[~kept]).all()
    back, log_det_there = inverse_affine_coupling(moved, *said(moved), mask)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(log_det_there, log_det)
    moved = additive_coupling(x, said(x)[0], mask)
    torch.testing.assert_close(additive_coupling(moved, -said(moved)[0], mask), x)


def test_a_density_under_an_affine_coupling_is_that_of_torch_distributions() -> None:
    mask = torch.tensor([True, False, False])
    x, shift, log_scale = torch.randn(3, 4, 3, dtype=torch.float64)
    moved, log_det = affine_coupling(x, shift, log_scale, mask)
    base = Normal(torch.zeros(4, 2, dtype=torch.float64), 1.0)
    expected = TransformedDistribution(base, AffineTransform(shift[:, 1:], log_scale[:, 1:].exp(), event_dim=1))
    log_prob = Normal(0.0, 1.0).log_prob(x)
    torch.testing.assert_close(log_prob[:, 1:].sum(-1) - log_det, expected.log_prob(moved[:, 1:]))


def test_a_coupling_with_no_scale_is_additive() -> None:
    mask, x = MASKS["row"], event("row", 3)
    shift = torch.randn_like(x)
    moved, log_det = affine_coupling(x, shift, torch.zeros_like(x), mask)
    assert torch.equal(moved, additive_coupling(x, shift, mask))
    assert log_det.tolist() == [0.0] * 3


def test_what_is_said_of_unchanged_components_does_not_count() -> None:
    mask = torch.tensor([True, False])
    moved, log_det = affine_coupling(
        torch.ones(2), torch.tensor([torch.nan, 1.0]), torch.tensor([torch.inf, 0.0]), mask
    )
    assert moved.tolist() == [1.0, 2.0]
    assert log_det.item() == 0


def test_the_logistic_density_is_that_of_torch_distributions() -> None:
    z = torch.linspace(-20, 20, 101, dtype=torch.float64)
    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    logistic = TransformedDistribution(Uniform(zero, one), SigmoidTransform().inv)
    torch.testing.assert_close(logistic_log_prob(z), logistic.log_prob(z))


def test_the_logistic_density_integrates_to_one_with_its_known_variance() -> None:
    z = torch.linspace(-60, 60, 100_001, dtype=torch.float64)
    density = logistic_log_prob(z).exp()
    assert float(torch.trapezoid(density, z)) == pytest.approx(1, abs=1e-9)
    assert float(torch.trapezoid(density * z.square(), z)) == pytest.approx(math.pi**2 / 3, abs=1e-9)


def test_the_logistic_density_falls_by_a_nat_per_unit_far_out() -> None:
    assert logistic_log_prob(torch.tensor([-1e4, 1e4])).tolist() == [-1e4, -1e4]
