"""Linear layers by length and direction, and their start from data."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from rlgen.errors import InputError
from rlgen.nn import WeightNormLinear
from rlgen.nn.layers import standardize


def test_it_is_torchs_weight_norm_forward_and_backward() -> None:
    torch.manual_seed(0)
    own, peer = WeightNormLinear(5, 3), parametrizations.weight_norm(nn.Linear(5, 3))
    with torch.no_grad():
        own.length.copy_(torch.tensor([0.5, 1.0, 2.0]))
        peer.parametrizations.weight.original0.copy_(own.length.unsqueeze(1))
        peer.parametrizations.weight.original1.copy_(own.direction)
        peer.bias.copy_(own.bias)
    x = torch.randn(4, 5)
    for layer in (own, peer):
        layer(x).square().sum().backward()
    torch.testing.assert_close(own(x), peer(x))
    torch.testing.assert_close(own.direction.grad, peer.parametrizations.weight.original1.grad)
    torch.testing.assert_close(own.length.grad, peer.parametrizations.weight.original0.grad.squeeze(1))


def test_a_rows_weights_are_as_long_as_its_length() -> None:
    layer = WeightNormLinear(5, 3)
    with torch.no_grad():
        layer.length.copy_(torch.tensor([0.5, 1.0, 2.0]))
    weight = layer(torch.eye(5)).T
    torch.testing.assert_close(weight.norm(dim=1), layer.length.detach())


def test_standardized_layers_give_mean_0_and_deviation_1_for_the_rows_they_were_set_by() -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(WeightNormLinear(5, 8, learn_length=False), nn.ReLU(), WeightNormLinear(8, 3))
    rows = 3 + 7 * torch.randn(100, 5)
    standardize(layers, rows)
    for upto in (1, 3):
        std, mean = torch.std_mean(layers[:upto](rows), 0, correction=0)
        torch.testing.assert_close(std, torch.ones_like(std), rtol=1e-4, atol=0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-5)


def test_a_number_that_never_varies_stays_finite() -> None:
    layer = WeightNormLinear(2, 2)
    standardize([layer], torch.ones(10, 2))
    assert layer(torch.ones(10, 2)).isfinite().all()


def test_a_length_that_is_not_learned_is_saved_and_is_no_parameter() -> None:
    layer = WeightNormLinear(2, 2, learn_length=False)
    assert "length" in layer.state_dict()
    assert {name for name, _ in layer.named_parameters()} == {"direction", "bias"}


def test_layers_of_no_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="of at least 1"):
        WeightNormLinear(0, 3)
