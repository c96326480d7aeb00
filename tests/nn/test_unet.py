"""The U-Net takes images of any size, begins with nothing and sees its step."""

import math

import pytest
import torch

from rlgen.errors import InputError
from rlgen.nn import UNet
from rlgen.nn.unet import Attention, sinusoids


def stirred(network: UNet) -> UNet:
    """With weights in the layers that begin with zeros."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return network


@pytest.mark.parametrize("size", [(8, 8), (7, 5), (28, 28), (32, 20)])
def test_images_of_any_size_keep_it(size: tuple[int, int]) -> None:
    network = UNet(3, (4, 6, 8))
    images = torch.rand(2, 3, *size)
    assert network(images, torch.tensor([1, 5])).shape == images.shape


def test_an_untrained_network_predicts_nothing() -> None:
    assert not UNet(1, (4, 8))(torch.rand(2, 1, 8, 8), torch.tensor([1, 2])).any()


@pytest.mark.parametrize("widths", [(2,), (4, 8), (8, 8), (24, 48)])
@pytest.mark.parametrize("seed", range(5))
def test_an_image_depends_on_its_own_step_alone(widths: tuple[int, ...], seed: int) -> None:
    torch.manual_seed(seed)
    network = stirred(UNet(1, widths))
    images = torch.rand(1, 1, 8, 8).expand(3, 1, 8, 8)
    found = network(images, torch.tensor([1, 900, 1]))
    torch.testing.assert_close(found[0], found[2])
    assert not torch.allclose(found[0], found[1])


def test_attention_is_the_softmax_of_the_products_of_pixels() -> None:
    torch.manual_seed(0)
    layer, hidden = Attention(4).double(), torch.randn(2, 4, 2, 3, dtype=torch.float64)
    torch.nn.init.normal_(layer.out.weight)
    pixels = layer.queries_keys_values(layer.norm(hidden))
    queries, keys, values = (part.flatten(2) for part in pixels.chunk(3, 1))  # [B, C, H W]
    share = (torch.einsum("bci,bcj->bij", queries, keys) / 2).softmax(-1)
    mixed = torch.einsum("bij,bcj->bci", share, values).view_as(hidden)
    torch.testing.assert_close(layer(hidden), hidden + layer.out(mixed))


def test_sinusoids_are_those_of_the_formula() -> None:
    found = sinusoids(torch.tensor([3]), 4)[0]
    slow = 3 * 10_000 ** (-1 / 2)
    torch.testing.assert_close(found, torch.tensor([math.sin(3), math.sin(slow), math.cos(3), math.cos(slow)]))


def test_odd_widths_are_refused() -> None:
    with pytest.raises(InputError, match="even numbers of channels"):
        UNet(1, (3, 4))
