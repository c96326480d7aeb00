"""The scan of an image: its order, its windows, and what it keeps."""

import torch

from rlgen.nn.raster_scan import WHOLE, RasterScan, Window

IMAGES = torch.arange(1.0, 13.0).view(1, 1, 3, 4)
WINDOW = Window(above=1, left=1, right=2)


def test_places_follow_each_other_row_by_row() -> None:
    assert list(RasterScan(2).places(2)) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_window_of_the_scan_is_that_of_the_whole_image() -> None:
    around = WHOLE.crop(IMAGES, WINDOW)
    scan = RasterScan(4)
    for row, column in scan.places(3):
        assert torch.equal(scan.crop(IMAGES, WINDOW), around[..., row : row + 2, column : column + 4])


def test_inputs_are_kept_as_far_as_windows_reach_and_what_is_not_read_yet_is_zero() -> None:
    around = WHOLE.joined("layer", IMAGES, WINDOW)
    scan = RasterScan(4)
    for row, column in scan.places(3):
        found = scan.joined("layer", IMAGES[..., row : row + 1, column : column + 1], WINDOW)
        expected = around[..., row : row + 2, column : column + 4].clone()
        expected[..., -1, 2:] = 0  # to the right of the pixel
        assert torch.equal(found, expected)


def test_a_pixel_that_is_read_again_replaces_the_earlier_reading() -> None:
    scan = RasterScan(1)
    pixel = torch.ones(1, 1, 1, 1)
    for _ in scan.places(1):
        scan.joined("layer", pixel, Window())
        assert scan.joined("layer", 2 * pixel, Window()).item() == 2


def test_a_row_is_computed_once_as_a_whole() -> None:
    scan, computed = RasterScan(4), []

    def row_above() -> list[torch.Tensor]:
        computed.append(scan.row)
        return [scan.crop(IMAGES, Window(above=1))[:, :, :1]]

    found = [scan.each_row("layer", row_above)[0].item() for _ in scan.places(3)]
    assert found == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert computed == [0, 1, 2]


def test_layers_keep_their_own_inputs() -> None:
    scan = RasterScan(1)
    for _ in scan.places(1):
        scan.joined("one", torch.ones(1, 1, 1, 1), Window())
        assert scan.kept("other", torch.ones(1, 1, 1, 1), Window()).item() == 0
