"""Maxout."""

import torch

from rlgen.nn import Maxout


def test_each_output_is_the_largest_of_its_own_linear_functions() -> None:
    torch.manual_seed(0)
    layer, rows = Maxout(3, 2, pieces=4), torch.randn(5, 3)
    weight, bias = layer.linear.weight, layer.linear.bias
    for unit in range(2):
        own = slice(4 * unit, 4 * unit + 4)
        pieces = torch.stack([rows @ w + b for w, b in zip(weight[own], bias[own], strict=True)])
        torch.testing.assert_close(layer(rows)[:, unit], pieces.max(0).values)


def test_two_opposite_pieces_are_the_absolute_value() -> None:
    layer = Maxout(1, 1, pieces=2)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[1.0], [-1.0]]))
        layer.linear.bias.zero_()
    rows = torch.linspace(-2, 2, 9).unsqueeze(1)
    assert torch.equal(layer(rows), rows.abs())
