"""What the outputs of networks of pixels see, read off the Jacobian; and that a scan computes the same."""

from collections.abc import Callable
from functools import cache, partial
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from rlgen.nn.pixel_lstm import DiagonalBiLSTM, RowLSTM
from rlgen.nn.pixel_networks import GatedPixelNetwork, LSTMBlock, MaskedBlock, PixelSizes, ResidualPixelNetwork
from rlgen.nn.raster_scan import RasterScan

HEIGHT, WIDTH, DEPTH = 4, 7, 3


NETWORKS: dict[str, Callable[[PixelSizes], nn.Module]] = {
    "gated": partial(GatedPixelNetwork, depth=DEPTH, size=3),
    "masked": partial(ResidualPixelNetwork, depth=DEPTH, block=partial(MaskedBlock, size=3)),
    "row": partial(ResidualPixelNetwork, depth=DEPTH, block=partial(LSTMBlock, lstm=partial(RowLSTM, size=3))),
    "diagonal": partial(ResidualPixelNetwork, depth=2, block=partial(LSTMBlock, lstm=DiagonalBiLSTM)),
}
COLORS = {"grey": (1, 1, 1), "in turn": (3, 6, 3), "at once": (3, 10, 1)}
"""Channels, outputs, and colors predicted one after another."""
each_network = pytest.mark.parametrize("name", NETWORKS)
each_kind = pytest.mark.parametrize("kind", COLORS)


def made(name: str, kind: str) -> nn.Module:
    torch.manual_seed(0)
    channels, outputs, colors = COLORS[kind]
    return NETWORKS[name](PixelSizes(channels, outputs, 12, colors)).double()


def images(kind: str, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, COLORS[kind][0], HEIGHT, WIDTH, generator=generator, dtype=torch.float64)


@cache
def dependence(name: str, kind: str) -> Tensor:
    """bool [color, row, column, channel, row, column]: whether the outputs of a color depend on a channel of a pixel,
    at one of many images, because a ReLU may hide it at one."""
    seen, colors = images(kind, 32).requires_grad_(), COLORS[kind][2]
    outputs = made(name, kind)(seen).unflatten(1, (colors, -1))
    mixed = (outputs * torch.randn(outputs.shape[2], 1, 1).double()).sum(2)  # one number per color and pixel
    rows = [torch.autograd.grad(each, seen, retain_graph=True)[0] for each in mixed.sum(0).flatten()]
    return torch.stack([(row != 0).any(0) for row in rows]).unflatten(0, (colors, HEIGHT, WIDTH))


def earlier(kind: str) -> Tensor:
    """bool, of the same shape: whether the pixel is before, or in the same pixel the channel's color."""
    channels, _, colors = COLORS[kind]
    pixel = torch.arange(HEIGHT * WIDTH).view(HEIGHT, WIDTH)
    ours = pixel[None, :, :, None, None, None]
    before = (pixel < ours).expand(colors, -1, -1, channels, -1, -1)
    same = (pixel == ours) & (torch.arange(channels)[:, None, None] < torch.arange(colors).view(-1, 1, 1, 1, 1, 1))
    return before | same if colors > 1 else before


@each_network
@each_kind
def test_no_output_depends_on_its_own_color_or_on_anything_later(name: str, kind: str) -> None:
    assert not (dependence(name, kind) & ~earlier(kind)).any()


@each_kind
def test_gated_layers_have_no_blind_spot(kind: str) -> None:
    assert torch.equal(dependence("gated", kind), earlier(kind))


@pytest.mark.parametrize("name", ["masked", "row"])
def test_masked_layers_and_row_lstms_are_blind_to_the_upper_right_beyond_a_diagonal(name: str) -> None:
    found = dependence(name, "grey")[0, :, :, 0]
    missed = {
        (row, column, up, right)
        for row, column, up in product(range(HEIGHT), range(WIDTH), range(HEIGHT))
        for right in range(-column, WIDTH - column)
        if row >= up and earlier("grey")[0, row, column, 0, row - up, column + right]
        if not found[row, column, row - up, column + right]
    }
    expected = {
        (row, column, up, right)
        for row, column, up in product(range(HEIGHT), range(WIDTH), range(1, HEIGHT))
        for right in range(WIDTH - column)
        if row >= up and right > 2 + up
    }
    assert missed == expected
    assert expected


def test_a_diagonal_bilstm_is_blind_only_to_the_last_pixel_of_the_row_above() -> None:
    """The features there, made by mask A, do not include the pixel; the first layer sees it from three columns."""
    missed = (earlier("grey") & ~dependence("diagonal", "grey"))[0, :, :, 0].nonzero().tolist()
    assert missed == [[row, column, row - 1, WIDTH - 1] for row in range(1, HEIGHT) for column in range(WIDTH - 4)]


@each_network
@each_kind
def test_a_scan_computes_what_the_whole_image_does(name: str, kind: str) -> None:
    network, seen = made(name, kind), images(kind, 3)
    with torch.inference_mode():
        expected, found, scan = network(seen), [], RasterScan(WIDTH)
        for row, column in scan.places(HEIGHT):
            unknown = seen.clone()
            unknown[:, :, row, column:] = 7.0
            unknown[:, :, row + 1 :] = 7.0
            unknown[:, :, row, column] = seen[:, :, row, column]
            found.append(network(unknown, scan)[..., 0, 0])
    torch.testing.assert_close(torch.stack(found, -1).unflatten(-1, (HEIGHT, WIDTH)), expected)


@each_network
def test_images_of_a_single_row_column_or_pixel_are_read(name: str) -> None:
    network = made(name, "grey")
    for height, width in ((1, 1), (1, 6), (6, 1)):
        seen, scan = torch.randn(2, 1, height, width).double(), RasterScan(width)
        with torch.inference_mode():
            found = [network(seen, scan)[..., 0, 0] for _ in scan.places(height)]
            torch.testing.assert_close(torch.stack(found, -1), network(seen).flatten(2))
