"""Scattered images: whole objects that do not overlap, counted by the labels, the same ones for a seed."""

import numpy as np
import pytest
import torch

from rlgen.data import ImageSet
from rlgen.data.scattered import ink, scattered
from rlgen.errors import InputError


def squares(n: int = 300, side: int = 6) -> ImageSet:
    """Images with a square of 3 × 2 pixels somewhere, as bright as their number modulo 200, from 50."""
    images = torch.zeros(n, 1, side, side, dtype=torch.uint8)
    for row in range(n):
        images[row, 0, 1:4, row % 3 : row % 3 + 2] = 50 + row % 200
    return ImageSet(images, torch.arange(n) % 7, name="squares")


def test_every_label_is_the_number_of_whole_objects() -> None:
    found = scattered(squares(), most=3, side=12)
    assert found.images.dtype == torch.uint8
    assert (found.shape, found.n_classes, found.counted, len(found)) == ((1, 12, 12), 4, True, 300)
    assert found.name == "squares, 0 to 3 on 12 × 12"
    for image, label in zip(found.images, found.labels, strict=True):
        assert int((image > 0).sum()) == 6 * int(label), "no pixel is covered or cut off"


def test_all_numbers_are_equally_probable_and_places_reach_every_edge() -> None:
    found = scattered(squares(3_000), most=2, side=12)
    shares = found.labels.bincount() / 3_000
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.04)
    lit = (found.images > 0).float().mean((0, 1))
    for edge in (lit[0], lit[-1], lit[:, 0], lit[:, -1]):
        assert edge.max() > 0


def test_a_single_object_is_anywhere_with_the_same_probability() -> None:
    found = scattered(squares(6_000), most=1, side=5)
    single = found.images[found.labels == 1, 0] > 0
    tops, lefts = single.any(2).float().argmax(1), single.any(1).float().argmax(1)
    assert (tops.bincount(minlength=3) / len(single)).tolist() == pytest.approx([1 / 3] * 3, abs=0.04)
    assert (lefts.bincount(minlength=4) / len(single)).tolist() == pytest.approx([1 / 4] * 4, abs=0.04)


def test_a_seed_gives_the_same_images_and_another_gives_others() -> None:
    one, two, other = (scattered(squares(), 2, seed=seed).images for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(("most", "side"), [(1, 8), (2, 20), (3, 20)])
def test_digits_have_a_canvas_of_two_and_a_half_times_their_size_by_default(most: int, side: int) -> None:
    digits = ImageSet.load("digits", "test")
    found = scattered(digits, most, 8 if side == 8 else None)
    assert found.shape == (1, side, side)
    assert int(found.labels.max()) == most


def test_the_box_of_an_image_has_all_that_is_not_black() -> None:
    images = np.zeros((3, 2, 5, 6), np.uint8)
    images[0, 1, 2, 3] = 1
    images[1] = 9
    assert ink(images).tolist() == [[2, 3, 3, 4], [0, 0, 5, 6], [0, 0, 1, 1]]


def test_a_taken_part_is_still_counted() -> None:
    found = scattered(squares(), 2).take(slice(5))
    assert found.counted
    assert found.n_classes == 3


@pytest.mark.parametrize(("most", "side"), [(0, None), (1, 2), (8, 6)])
def test_objects_that_do_not_fit_are_refused(most: int, side: int | None) -> None:
    with pytest.raises(InputError):
        scattered(squares(40), most, side)
