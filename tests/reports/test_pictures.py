"""Many images as one picture."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rlgen.errors import InputError
from rlgen.reports.pictures import GAP, LEAST_SIDE, PAPER, image_grid, png_bytes, write_png


def test_images_stand_row_by_row_at_their_brightness() -> None:
    images = np.zeros((5, 1, LEAST_SIDE, LEAST_SIDE))
    images[:, 0] = (np.arange(5) / 5)[:, None, None]
    picture = image_grid(images, columns=3)
    step = LEAST_SIDE + GAP
    assert picture.shape == (2 * step + GAP, 3 * step + GAP, 3)
    for index in range(5):
        row, column = divmod(index, 3)
        tile = picture[GAP + row * step : (row + 1) * step, GAP + column * step : (column + 1) * step]
        assert (tile == round(51 * index)).all()
    assert (picture[GAP + step :, GAP + 2 * step :] == PAPER).all(), "no sixth image"
    assert (picture[:GAP] == PAPER).all()


def test_small_images_are_enlarged_by_whole_pixels_and_colors_stay() -> None:
    images = np.random.default_rng(0).random((1, 3, 8, 8))
    picture = image_grid(images, columns=1)[GAP:-GAP, GAP:-GAP]
    assert picture.shape == (56, 56, 3)
    np.testing.assert_array_equal(picture[3::7, 3::7], np.rint(images[0].transpose(1, 2, 0) * 255))


def test_what_lies_outside_the_range_is_cut_off_and_not_wrapped() -> None:
    images = np.array([-1.0, 2.0, np.nan]).reshape(3, 1, 1, 1)
    picture = image_grid(images, columns=3)
    middles = picture[picture.shape[0] // 2, [GAP + 5, 2 * GAP + 60, 3 * GAP + 120], 0]
    assert middles.tolist() == [0, 255, 0]


def test_the_file_is_a_png_of_the_picture(tmp_path: Path) -> None:
    picture = image_grid(np.random.default_rng(0).random((4, 1, 8, 8)), columns=2)
    path = write_png(tmp_path / "new" / "a.png", picture)
    assert path.read_bytes() == png_bytes(picture)
    with Image.open(io.BytesIO(path.read_bytes())) as read:
        np.testing.assert_array_equal(np.asarray(read), picture)


@pytest.mark.parametrize("shape", [(0, 1, 8, 8), (2, 2, 8, 8), (2, 8, 8)])
def test_what_is_no_row_of_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="images"):
        image_grid(np.zeros(shape), columns=2)
