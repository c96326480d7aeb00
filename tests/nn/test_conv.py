"""Strided convolutions."""

import pytest
import torch
from torch import nn

from rlgen.nn.conv import down, even_weights, halvings, small_weights, up
from rlgen.nn.patch_conv import PatchConv2d, PatchConvTranspose2d


@pytest.mark.parametrize(("size", "times"), [(28, 2), (8, 1), (32, 3), (64, 4), (7, 0), (9, 0), (14, 1)])
def test_an_image_is_halved_evenly_until_it_is_coarse(size: int, times: int) -> None:
    assert halvings(size, size) == times
    side = size
    for _ in range(times):
        assert side % 2 == 0
        side //= 2
    assert side <= 7 or side % 2 == 1


def test_down_halves_and_up_doubles() -> None:
    images = torch.zeros(2, 1, 28, 28)
    coarse = nn.Sequential(*down([1, 3, 5]))(images)
    assert coarse.shape == (2, 5, 7, 7)
    assert nn.Sequential(*up([5, 3, 1]))(coarse).shape == images.shape


def test_the_outermost_layers_have_no_batch_norm() -> None:
    first, second = down([1, 2, 3])
    assert [type(layer) for layer in first] == [PatchConv2d, nn.LeakyReLU]
    assert [type(layer) for layer in second] == [PatchConv2d, nn.BatchNorm2d, nn.LeakyReLU]
    assert [type(layer) for layer in up([3, 2, 1])][-1] is PatchConvTranspose2d
    assert not any(isinstance(layer, nn.BatchNorm2d) for block in down([1, 2, 3], batch_norm=False) for layer in block)


def test_small_weights_have_the_deviation_asked_for() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(8, 64, 4), nn.BatchNorm2d(2_000))
    small_weights(network, std=0.02)
    # 8,192 and 2,000 draws: standard errors of the deviation are 0.8 % and 1.6 %.
    assert float(network[0].weight.std().detach()) == pytest.approx(0.02, rel=0.05)
    assert float(network[1].weight.mean().detach()) == pytest.approx(1.0, abs=0.003)
    assert float(network[1].weight.std().detach()) == pytest.approx(0.02, rel=0.08)
    assert float(network[0].bias.abs().max().detach()) == 0


def test_even_weights_keep_the_size_of_what_goes_through() -> None:
    torch.manual_seed(0)
    layers = [module for _ in range(5) for module in (nn.Linear(500, 500), nn.LeakyReLU(0.2))]
    network = nn.Sequential(*layers)
    even_weights(network)
    with torch.no_grad():
        size = network(torch.randn(50, 500)).square().mean().item()
    # A rectifier leaves (1 + 0.2²) / 2 of the mean square. That of 50 rows varies by some 3 % with the weights drawn.
    assert size == pytest.approx(1, rel=0.15)
