"""Perceptrons that run as one, against each by itself."""

import pytest
import torch
from torch import Tensor, nn

from rlgen.errors import InputError
from rlgen.nn import EnsembleMLP, mlp

SIZES = [3, 8, 5, 2]


def ensemble() -> EnsembleMLP:
    torch.manual_seed(0)
    return EnsembleMLP(4, SIZES, nn.Tanh).double()


def member(together: EnsembleMLP, number: int) -> nn.Sequential:
    alone = mlp(SIZES, nn.Tanh).double()
    dense = [layer for layer in together.layers if hasattr(layer, "weight")]
    linears = [layer for layer in alone if isinstance(layer, nn.Linear)]
    for linear, layer in zip(linears, dense, strict=True):
        linear.weight.data, linear.bias.data = layer.weight[number].T, layer.bias[number, 0]
    return alone


def rows(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_members_see_the_same_rows_as_if_each_were_alone() -> None:
    together, inputs = ensemble(), rows(7, 3)
    alone = torch.stack([member(together, number)(inputs) for number in range(4)])
    torch.testing.assert_close(together(inputs), alone)


def test_members_see_rows_of_their_own_as_if_each_were_alone() -> None:
    together, inputs = ensemble(), rows(4, 7, 3)
    alone = torch.stack([member(together, number)(inputs[number]) for number in range(4)])
    torch.testing.assert_close(together(inputs), alone)


def test_a_member_learns_from_its_own_loss_only() -> None:
    together = ensemble()
    together(rows(7, 3))[2].sum().backward()
    for parameter in together.parameters():
        moved = [number for number in range(4) if parameter.grad[number].any()]
        assert moved == [2]


def test_weights_start_apart_and_like_those_of_a_plain_layer() -> None:
    torch.manual_seed(0)
    weight = EnsembleMLP(2, [400, 300]).layers[0].weight.detach()
    assert not torch.equal(weight[0], weight[1])
    plain = nn.Linear(400, 300).weight.detach()
    assert float(weight.abs().max()) <= 1 / 20
    assert float(weight.std()) == pytest.approx(float(plain.std()), rel=0.01)


@pytest.mark.parametrize(("members", "sizes"), [(0, [3, 2]), (2, [3]), (2, [3, 0, 2])])
def test_shapes_that_are_none_are_refused(members: int, sizes: list[int]) -> None:
    with pytest.raises(InputError):
        EnsembleMLP(members, sizes)
