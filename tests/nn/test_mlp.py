"""Perceptrons: what stands where."""

import torch
from torch import nn

from rlgen.nn import mlp


def test_a_perceptron_is_linear_layers_with_activations_between_them() -> None:
    kinds = [type(layer) for layer in mlp([3, 5, 4, 1], nn.ReLU)]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]


def test_the_widths_are_those_asked_for() -> None:
    shapes = [tuple(layer.weight.shape) for layer in mlp([3, 5, 2]) if isinstance(layer, nn.Linear)]
    assert shapes == [(5, 3), (2, 5)]


def test_a_perceptron_computes_what_its_layers_say() -> None:
    torch.manual_seed(0)
    network = mlp([2, 3, 1])
    rows = torch.randn(4, 2)
    first, last = network[0], network[2]
    by_hand = torch.tanh(rows @ first.weight.T + first.bias) @ last.weight.T + last.bias
    torch.testing.assert_close(network(rows), by_hand)


def test_without_hidden_layers_a_perceptron_is_linear() -> None:
    assert [type(layer) for layer in mlp([3, 2])] == [nn.Linear]
