"""Frames in pictures: where they are, and what they leave as it is."""

import math

import pytest
import torch

from rlgen.errors import InputError
from rlgen.generators.boxes import COLORS, enlarged, outlined

NOWHERE = [math.nan] * 4


def test_images_are_enlarged_in_color_with_square_pixels() -> None:
    images = torch.rand(2, 1, 40, 20)
    large = enlarged(images)
    assert large.shape == (2, 3, 120, 60)
    torch.testing.assert_close(large[:, :, ::3, ::3], images.expand(-1, 3, -1, -1))
    assert torch.equal(large[:, :, 1::3, 2::3], large[:, :, ::3, ::3])


def test_a_frame_is_one_pixel_around_its_box_and_nothing_else_changes() -> None:
    images = torch.rand(1, 3, 96, 96)
    found = outlined(images, torch.tensor([[NOWHERE, [10.0, 20.0, 30.0, 50.0]]]))
    changed = (found != images).any(1)[0]
    expected = torch.zeros(96, 96, dtype=torch.bool)
    expected[[10, 29], 20:50] = True
    expected[10:30, [20, 49]] = True
    assert torch.equal(changed, expected)
    assert found[0, :, 10, 20].tolist() == pytest.approx(COLORS[1]), "the color of the second object"


def test_frames_beyond_the_image_run_along_its_edge() -> None:
    found = outlined(torch.zeros(1, 1, 96, 96), torch.tensor([[[-5.0, -5.0, 200.0, 200.0]]]))
    lit = found.sum(1)[0] > 0
    assert int(lit.sum()) == 4 * 96 - 4
    assert lit[0].all()
    assert lit[:, 95].all()


def test_images_of_two_channels_are_refused() -> None:
    with pytest.raises(InputError):
        enlarged(torch.zeros(1, 2, 8, 8))
