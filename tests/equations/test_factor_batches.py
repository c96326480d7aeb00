"""DC-IGN's clamping and its gradients against the paper's rule by hand; rotation and light against their formulas."""

import math

import pytest
import torch
from torch import Tensor

from rlgen.equations.factor_batches import clamped, invariance, lambert_shading, rotated

ACTIVE = torch.tensor([[True, False, False], [False, True, True]])


def some_latents() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 5, 3, generator=generator, dtype=torch.float64).requires_grad_()


def test_inactive_latents_are_the_mean_of_their_minibatch_and_active_ones_are_unchanged() -> None:
    latents = some_latents()
    found = clamped(latents, ACTIVE)
    for g in range(2):
        for z in range(3):
            column = latents[g, :, z]
            expected = column if ACTIVE[g, z] else torch.full((5,), sum(column.tolist()) / 5, dtype=torch.float64)
            torch.testing.assert_close(found[g, :, z], expected)


def test_the_gradient_is_that_of_the_decoder_for_active_latents_and_a_hundredth_of_the_difference_for_others() -> None:
    latents = some_latents()
    weights = torch.randn(2, 5, 3, dtype=torch.float64)  # the decoder's gradient
    loss = (weights * clamped(latents, ACTIVE)).sum() + 0.01 * invariance(latents, ACTIVE).sum()
    (found,) = torch.autograd.grad(loss, latents)
    for g in range(2):
        for z in range(3):
            column = latents[g, :, z].tolist()
            rule = [(value - sum(column) / 5) / 100 for value in column]
            expected = weights[g, :, z] if ACTIVE[g, z] else torch.tensor(rule, dtype=torch.float64)
            torch.testing.assert_close(found[g, :, z], expected)


def test_latents_that_do_not_vary_within_a_minibatch_have_no_invariance_error() -> None:
    latents = torch.randn(2, 1, 3).expand(2, 5, 3)
    torch.testing.assert_close(invariance(latents, ACTIVE), torch.zeros(2, 5))


def test_a_quarter_turn_is_that_of_the_pixels() -> None:
    images = torch.rand(2, 3, 6, 6, dtype=torch.float64)
    for quarter in (-1, 0, 1, 2):
        angle = torch.full((2,), quarter * math.pi / 2, dtype=torch.float64)
        torch.testing.assert_close(rotated(images, angle), images.rot90(quarter, (2, 3)))


@pytest.mark.parametrize(("height", "width"), [(41, 41), (31, 61)])
def test_a_point_moves_counterclockwise_by_the_angle_and_keeps_its_distance(height: int, width: int) -> None:
    image = torch.zeros(1, 1, height, width)
    middle_y, middle_x = height // 2, width // 2
    image[0, 0, middle_y - 1 : middle_y + 2, middle_x + 9 : middle_x + 12] = 1  # 10 pixels to the right
    for degrees in (-50.0, 30.0, 70.0):
        found = rotated(image, torch.tensor([math.radians(degrees)]))[0, 0]
        y, x = (torch.arange(side, dtype=torch.float32) for side in (height, width))
        center_y, center_x = ((found.sum(1 - axis) * place).sum() / found.sum() for axis, place in enumerate((y, x)))
        assert (center_x - middle_x).item() == pytest.approx(10 * math.cos(math.radians(degrees)), abs=0.1)
        assert (middle_y - center_y).item() == pytest.approx(10 * math.sin(math.radians(degrees)), abs=0.1)


def test_shading_is_the_cosine_between_light_and_normal_in_every_column() -> None:
    azimuth, widest = torch.tensor([-1.2, 0.0, 0.7]), 1.4
    found = lambert_shading(azimuth, widest, 8)
    for row, angle in enumerate(azimuth.tolist()):
        for column in range(8):
            normal = widest * ((2 * column + 1) / 8 - 1)
            light, surface = ((math.sin(each), math.cos(each)) for each in (angle, normal))
            product = light[0] * surface[0] + light[1] * surface[1]
            assert found[row, column].item() == pytest.approx(max(0.0, product), abs=1e-6)


def test_light_from_the_right_is_the_mirror_image_of_light_from_the_left() -> None:
    azimuth = torch.linspace(0.1, 1.5, 5)
    torch.testing.assert_close(lambert_shading(azimuth, 1.0, 9), lambert_shading(-azimuth, 1.0, 9).flip(-1))
    assert lambert_shading(torch.zeros(1), 1.0, 9).argmax().item() == 4
