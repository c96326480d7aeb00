"""Two networks side by side, and layers with batch norm."""

import torch
from torch import nn

from rlgen.nn.layers import SideBySide, normalized_layers


def test_each_network_sees_its_own_numbers() -> None:
    left, right = nn.Linear(2, 3), nn.Linear(4, 1)
    network, rows = SideBySide(2, left, right), torch.rand(5, 6)
    torch.testing.assert_close(network(rows), torch.cat([left(rows[:, :2]), right(rows[:, 2:])], 1))


def test_every_normalized_layer_is_followed_by_batch_norm_and_activation() -> None:
    torch.manual_seed(0)  # weights so small that the floor of the variance shows would be chance
    layers = normalized_layers([3, 4, 5], nn.Tanh)
    assert [type(layer) for layer in layers] == [nn.Linear, nn.BatchNorm1d, nn.Tanh] * 2
    normal = nn.Sequential(*layers[:2])(torch.rand(100, 3))
    torch.testing.assert_close(normal.mean(0), torch.zeros(4), rtol=0, atol=1e-5)
    torch.testing.assert_close(normal.var(0, correction=0), torch.ones(4), rtol=0, atol=1e-2)
