"""Dropout around a network that was built without."""

import pytest
import torch
from torch import nn

from rlgen.nn.dropout import HiddenDropout
from rlgen.nn.layers import Maxout, dropout_after_activations


@pytest.fixture
def network() -> nn.Sequential:
    """Four inputs, a thousand hidden units that are 1 for inputs of 0, and their mean."""
    first, last = nn.Linear(4, 1000), nn.Linear(1000, 1, bias=False)
    nn.init.ones_(first.bias)
    nn.init.constant_(last.weight, 1 / 1000)
    return nn.Sequential(first, nn.Sequential(nn.ReLU()), last)


def test_a_share_of_the_hidden_units_is_left_out_and_the_rest_makes_up(network: nn.Sequential) -> None:
    torch.manual_seed(0)
    hidden = []
    network[2].register_forward_pre_hook(lambda module, inputs: hidden.append(inputs[0]))
    with dropout_after_activations(network, 0.25):
        network(torch.zeros(50, 4))
    assert hidden[0].unique().tolist() == [0.0, pytest.approx(4 / 3)]
    assert float((hidden[0] == 0).float().mean()) == pytest.approx(0.25, abs=0.01)


def test_outside_the_block_and_for_a_share_of_0_nothing_is_left_out(network: nn.Sequential) -> None:
    with dropout_after_activations(network, 0.0):
        assert network(torch.zeros(1, 4)).item() == pytest.approx(1)
    with pytest.raises(ZeroDivisionError), dropout_after_activations(network, 0.5):
        raise ZeroDivisionError
    assert network(torch.zeros(1, 4)).item() == pytest.approx(1)


def test_what_is_no_activation_is_left_alone() -> None:
    straight = nn.Sequential(nn.Sequential(), nn.Flatten(), nn.LayerNorm(3, elementwise_affine=False))
    rows = torch.randn(4, 3)
    with dropout_after_activations(straight, 0.9):
        torch.testing.assert_close(straight(rows), nn.LayerNorm(3, elementwise_affine=False)(rows))


def test_hidden_dropout_drops_maxout_units() -> None:
    torch.manual_seed(0)
    network = HiddenDropout(share=0.5).wrap(nn.Sequential(nn.Flatten(), Maxout(4, 200, 2), nn.Identity()))
    units = network(torch.rand(1, 4))
    assert 60 < int((units == 0).sum()) < 140
    assert not (network.eval()(torch.rand(1, 4)) == 0).any()
