"""Virtual batch normalization: a row's output depends on the reference and itself, not on the rest of its batch."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from rlgen.errors import InputError
from rlgen.nn import VirtualBatchNorm
from rlgen.nn.batch_norm import WithReference


def layer(reference: Tensor) -> WithReference:
    return WithReference(nn.Sequential(VirtualBatchNorm(reference.shape[1])), reference)


@pytest.mark.parametrize("place", [(), (5, 4)])
def test_a_row_is_normalized_as_one_more_row_of_the_reference(place: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    reference, rows = torch.randn(6, 3, *place, dtype=torch.float64), torch.randn(4, 3, *place, dtype=torch.float64)
    out = layer(reference)(rows)
    batch_norm = nn.BatchNorm2d(3) if place else nn.BatchNorm1d(3)
    for row, normalized in zip(rows, out, strict=True):
        together = batch_norm.double().train()(torch.cat([reference, row[None]]))
        torch.testing.assert_close(normalized, together[-1].detach())


def test_the_reference_is_normalized_by_itself_alone() -> None:
    torch.manual_seed(0)
    reference, rows = torch.randn(6, 3, 5, 5), 100 * torch.randn(4, 3, 5, 5)
    inner = layer(reference).network
    out = inner(torch.cat([reference, rows]))[:6]
    torch.testing.assert_close(out, nn.BatchNorm2d(3)(reference), atol=1e-5, rtol=1e-5)


def test_the_rest_of_the_batch_does_not_matter() -> None:
    torch.manual_seed(0)
    network = WithReference(
        nn.Sequential(nn.Conv2d(2, 4, 3), VirtualBatchNorm(4), nn.ReLU(), nn.Conv2d(4, 3, 3), VirtualBatchNorm(3)),
        torch.randn(5, 2, 8, 8),
    )
    rows = torch.randn(6, 2, 8, 8)
    torch.testing.assert_close(network(rows)[:1], network(rows[:1]), atol=1e-5, rtol=1e-5)
    others = torch.cat([rows[:1], 50 * rows[1:]])
    torch.testing.assert_close(network(rows)[:1], network(others)[:1], atol=1e-5, rtol=1e-5)


def test_gradients_reach_the_weights_through_the_reference_too() -> None:
    torch.manual_seed(0)
    dense = nn.Linear(2, 3).double()
    network = WithReference(nn.Sequential(dense, VirtualBatchNorm(3).double()), torch.randn(5, 2, dtype=torch.float64))
    rows = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, (rows,))
    # Moving all inputs of a normalization alike changes nothing: with a frozen reference this gradient were not zero.
    (gradient,) = torch.autograd.grad(network(rows).square().sum(), dense.bias)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-9, rtol=0)


def test_in_half_precision_the_statistics_are_full_and_what_comes_out_is_half() -> None:
    torch.manual_seed(0)
    reference, rows = torch.randn(6, 3, 5, 5) + 20, torch.randn(4, 3, 5, 5) + 20  # means that bfloat16 cannot square
    inner = layer(reference).network
    half = torch.cat([reference, rows]).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        out = inner(half)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, inner(half.float()).bfloat16())


def test_the_state_dict_holds_the_reference() -> None:
    torch.manual_seed(0)
    first, second = layer(torch.randn(6, 3)), layer(torch.randn(6, 3))
    rows = torch.randn(4, 3)
    assert not torch.equal(first(rows), second(rows))
    second.load_state_dict(deepcopy(first.state_dict()))
    assert torch.equal(first(rows), second(rows))


def test_without_a_reference_it_is_refused() -> None:
    with pytest.raises(InputError, match="WithReference"):
        VirtualBatchNorm(3)(torch.randn(4, 3))
    with pytest.raises(InputError, match="reference batch of 1 row"):
        WithReference(nn.Sequential(VirtualBatchNorm(3)), torch.zeros(0, 3))
    with pytest.raises(InputError, match="VirtualBatchNorm"):
        WithReference(nn.Linear(3, 1), torch.zeros(2, 3))
