"""A pyramid taken apart and put together is the image again."""

import numpy as np
import pytest
import torch

from rlgen.equations.gan_variants import collapsed, doubled, halved, laplacian_pyramid


def test_a_halved_pixel_is_the_mean_of_four() -> None:
    images = torch.arange(16.0).view(1, 1, 4, 4)
    assert halved(images).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    torch.manual_seed(0)
    images = torch.rand(2, 3, 6, 10, dtype=torch.float64)
    torch.testing.assert_close(halved(images), images.view(2, 3, 3, 2, 5, 2).mean((3, 5)))


def test_doubling_interpolates_between_the_centers_of_pixels() -> None:
    assert doubled(torch.tensor([[[[0.0, 1.0]]]])).tolist() == [[[[0.0, 0.25, 0.75, 1.0]] * 2]]
    torch.manual_seed(0)
    images = torch.rand(1, 1, 3, 5, dtype=torch.float64)

    def along(values: np.ndarray, axis: int) -> np.ndarray:
        size = values.shape[axis]
        centers = (np.arange(2 * size) + 0.5) / 2 - 0.5
        return np.apply_along_axis(lambda row: np.interp(centers, np.arange(size), row), axis, values)

    expected = along(along(images[0, 0].numpy(), 0), 1)
    np.testing.assert_allclose(doubled(images)[0, 0].numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(("side", "levels"), [(28, 2), (8, 1), (32, 3), (8, 0)])
def test_a_pyramid_put_together_is_the_image_again(side: int, levels: int) -> None:
    torch.manual_seed(0)
    images = torch.rand(3, 2, side, side, dtype=torch.float64)
    coarse, bands = laplacian_pyramid(images, levels)
    assert coarse.shape[-1] == side >> levels
    assert [band.shape[-1] for band in bands] == [side >> n for n in range(levels - 1, -1, -1)]
    torch.testing.assert_close(collapsed(coarse, bands), images, rtol=0, atol=1e-14)


def test_without_the_finest_details_it_is_the_halved_image() -> None:
    torch.manual_seed(0)
    images = torch.rand(1, 1, 28, 28, dtype=torch.float64)
    coarse, bands = laplacian_pyramid(images, 2)
    torch.testing.assert_close(collapsed(coarse, bands[:1]), halved(images))
    torch.testing.assert_close(coarse, halved(halved(images)))


def test_an_even_image_has_no_details_and_a_slope_has_them_at_its_borders_only() -> None:
    _, (band,) = laplacian_pyramid(torch.full((1, 1, 8, 8), 0.3, dtype=torch.float64), 1)
    assert float(band.abs().max()) < 1e-15
    slope = torch.arange(8, dtype=torch.float64).expand(1, 1, 8, 8)
    _, (band,) = laplacian_pyramid(slope, 1)
    assert float(band[..., 1:-1].abs().max()) < 1e-14
    assert band[0, 0, 0, [0, -1]].tolist() == [-0.5, 0.5]
