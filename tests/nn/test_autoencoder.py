"""Convolutional encoders and decoders."""

import pytest
import torch
from torch import nn

from rlgen.nn.conv import ELU_GAIN, decoder, encoder


@pytest.mark.parametrize(("height", "width", "halved"), [(28, 28, 2), (8, 8, 1), (8, 16, 2), (5, 5, 0)])
def test_codes_have_their_size_and_images_come_back_in_theirs(height: int, width: int, halved: int) -> None:
    encode, decode = encoder(3, height, width, latent=6, filters=2), decoder(3, height, width, latent=6, filters=2)
    codes = encode(torch.rand(2, 3, height, width))
    assert codes.shape == (2, 6)
    assert decode(codes).shape == (2, 3, height, width)
    assert sum(isinstance(layer, nn.Upsample) for layer in decode) == halved
    assert sum(isinstance(layer, nn.Conv2d) and layer.stride == (2, 2) for layer in encode) == halved


def test_the_encoder_widens_with_every_halving_and_the_decoder_does_not() -> None:
    convolutions = [layer for layer in encoder(1, 28, 28, 6, filters=4) if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [4, 4, 4, 4, 8, 8, 8, 12, 12]
    convolutions = [layer for layer in decoder(1, 28, 28, 6, filters=4) if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [4] * 6 + [1]


def test_rows_do_not_influence_one_another() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(encoder(1, 8, 8, 3, 2), decoder(1, 8, 8, 3, 2))
    images = torch.rand(4, 1, 8, 8)
    torch.testing.assert_close(network(images)[1:2], network(images[1:2]))


def test_new_networks_pass_on_the_spread_of_what_they_get() -> None:
    """PyTorch's own initialization leaves a thousandth of it, and BEGAN then learns nothing but the darkest image."""
    torch.manual_seed(0)
    images = torch.rand(64, 1, 28, 28).round() * 2 - 1
    codes = encoder(1, 28, 28, latent=64, filters=16)(images)
    again = decoder(1, 28, 28, latent=64, filters=16)(torch.randn(64, 64))
    for found in (codes, again):
        assert 0.2 < found.std(0).mean() < 3


def test_the_gain_keeps_the_second_moment_through_the_rectifier() -> None:
    through = torch.nn.functional.elu(torch.randn(1_000_000, generator=torch.Generator().manual_seed(0)))
    assert ELU_GAIN**2 * (through**2).mean() == pytest.approx(1.0, abs=0.01)
