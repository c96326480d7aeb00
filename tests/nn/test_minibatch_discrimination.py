"""Minibatch discrimination: features that tell a collapsed batch from a varied one."""

import pytest
import torch

from rlgen.nn import MinibatchDiscrimination


@pytest.fixture
def layer() -> MinibatchDiscrimination:
    torch.manual_seed(0)
    return MinibatchDiscrimination(4, 3, 2).double()


def test_the_features_are_the_sums_of_the_formula(layer: MinibatchDiscrimination) -> None:
    rows = torch.randn(5, 4, dtype=torch.float64)
    out = layer(rows)
    assert torch.equal(out[:, :4], rows)
    for i in range(5):
        for kernel in range(3):
            projected = rows @ layer.projection[:, kernel]
            closeness = sum(torch.exp(-(projected[i] - projected[j]).abs().sum()) for j in range(5))
            torch.testing.assert_close(out[i, 4 + kernel], closeness)


def test_a_collapsed_batch_has_the_size_of_the_batch_and_a_scattered_one_one(layer: MinibatchDiscrimination) -> None:
    same = layer(torch.ones(6, 4, dtype=torch.float64))[:, 4:]
    torch.testing.assert_close(same, torch.full_like(same, 6))
    apart = layer(1e4 * torch.randn(6, 4, dtype=torch.float64))[:, 4:]
    torch.testing.assert_close(apart, torch.ones_like(apart))


def test_projections_of_features_of_unit_spread_have_unit_spread_however_many_there_are() -> None:
    torch.manual_seed(0)
    for count in (10, 1000):
        projected = torch.randn(2000, count) @ MinibatchDiscrimination(count, 20, 5).projection.detach().flatten(1)
        assert float(projected.std()) == pytest.approx(1, abs=0.1)


def test_in_half_precision_differences_are_full(layer: MinibatchDiscrimination) -> None:
    rows = torch.randn(7, 4)
    with torch.autocast("cpu", torch.bfloat16):
        projected = torch.einsum("bf,fkd->bkd", rows, layer.float().projection)
        out = layer(rows)
    assert projected.dtype == torch.bfloat16
    distance = (projected.double()[:, None] - projected.double()).abs().sum(-1)
    torch.testing.assert_close(out[:, 4:], torch.exp(-distance).sum(1).float())


def test_the_order_of_the_rows_does_not_matter(layer: MinibatchDiscrimination) -> None:
    rows, order = torch.randn(7, 4, dtype=torch.float64), torch.randperm(7)
    torch.testing.assert_close(layer(rows)[order], layer(rows[order]))


def test_its_gradient_is_a_finite_difference(layer: MinibatchDiscrimination) -> None:
    rows = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (rows,))
    layer(rows).sum().backward()
    assert layer.projection.grad is not None
    assert layer.projection.grad.abs().sum() > 0
