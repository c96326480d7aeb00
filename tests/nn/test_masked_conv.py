"""Masked convolutions against the paper's masks, written out."""

import pytest
import torch
from torch.nn import functional as F

from rlgen.errors import InputError
from rlgen.nn.masked_conv import MaskedConv2d, WindowConv2d, colors_of
from rlgen.nn.raster_scan import Window


def full_kernel(layer: MaskedConv2d, size: int) -> torch.Tensor:
    """The paper's kernel [O, I, size, size]: zeros below the pixel's row."""
    return F.pad(layer.kernel(), (0, size - layer.kernel_size[1], 0, size - layer.kernel_size[0]))


@pytest.mark.parametrize(("mask", "own"), [("A", 0), ("B", 1)])
def test_a_mask_of_one_color_is_the_papers(mask: str, own: int) -> None:
    one = colors_of(1, 1)
    layer = MaskedConv2d(one, one, 3, mask)
    torch.nn.init.ones_(layer.weight)
    assert full_kernel(layer, 3).squeeze().tolist() == [[1, 1, 1], [1, own, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("mask", "expected"), [("A", [[0, 0, 0], [1, 0, 0], [1, 1, 0]]), ("B", [[1, 0, 0], [1, 1, 0], [1, 1, 1]])]
)
def test_within_a_pixel_green_sees_red_and_blue_sees_both(mask: str, expected: list[list[int]]) -> None:
    layer = MaskedConv2d(colors_of(6, 3), colors_of(3, 3), 3, mask)
    torch.nn.init.ones_(layer.weight)
    assert layer.kernel()[:, ::2, 1, 1].tolist() == expected
    assert layer.kernel()[:, 1::2, 1, 1].tolist() == expected
    assert layer.kernel()[:, :, 0].eq(1).all(), "the row above in all colors"
    assert layer.kernel()[:, :, 1, 0].eq(1).all(), "the pixel to the left in all colors"
    assert layer.kernel()[:, :, 1, 2].eq(0).all()


def test_it_is_the_convolution_with_the_complete_kernel() -> None:
    torch.manual_seed(0)
    layer = MaskedConv2d(colors_of(4, 2), colors_of(6, 2), 5, "B").double()
    x = torch.randn(2, 4, 7, 6).double()
    torch.testing.assert_close(layer(x), F.conv2d(x, full_kernel(layer, 5), layer.bias, padding=2))


def test_in_a_row_it_sees_the_row_up_to_the_pixel() -> None:
    torch.manual_seed(0)
    one = colors_of(1, 1)
    layer = MaskedConv2d(one, one, 5, "B", in_row=True)
    x = torch.zeros(1, 1, 3, 7)
    x[0, 0, 1, 3] = 1
    found = layer(x) - layer.bias
    assert (found[0, 0] != 0).nonzero().tolist() == [[1, 3], [1, 4], [1, 5]]
    assert layer.kernel_size == (1, 3), "nothing to the right is computed"


def test_a_window_is_the_neighborhood_that_it_names() -> None:
    torch.manual_seed(0)
    layer = WindowConv2d(1, 1, Window(above=2, left=1, right=3))
    x = torch.zeros(1, 1, 5, 9)
    x[0, 0, 1, 4] = 1
    seen_by = ((layer(x) - layer.bias)[0, 0] != 0).nonzero().tolist()
    assert seen_by == [[row, column] for row in (1, 2, 3) for column in range(1, 6)]


def test_features_belong_to_colors_in_turn() -> None:
    assert colors_of(6, 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert colors_of(5, 3).tolist() == [0, 0, 1, 1, 2]
    assert colors_of(3, 1).tolist() == [0, 0, 0]
    with pytest.raises(InputError, match="a feature for each of 3 colors"):
        colors_of(2, 3)


def test_a_kernel_without_a_middle_is_refused() -> None:
    with pytest.raises(InputError, match="an odd size"):
        MaskedConv2d(colors_of(1, 1), colors_of(1, 1), 4)
