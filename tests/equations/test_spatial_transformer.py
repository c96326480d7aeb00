"""The spatial transformer against explicit loops over pixels, and against torch's own for any affine map."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rlgen.equations.spatial_transformer import bilinear_weights, coordinates, reading, transform, writing
from rlgen.errors import InputError

HEIGHT, WIDTH, CELLS = 6, 9, 4
SCALE = torch.tensor([0.4, 1.0, 0.7], dtype=torch.float64)
X = torch.tensor([0.1, 0.0, -0.8], dtype=torch.float64)
Y = torch.tensor([-0.5, 0.0, 0.9], dtype=torch.float64)


def images() -> Tensor:
    return torch.rand(3, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def windows() -> Tensor:
    return torch.rand(3, 2, CELLS, CELLS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def read(source: Tensor) -> Tensor:
    return transform(source, reading(SCALE, Y, HEIGHT, CELLS), reading(SCALE, X, WIDTH, CELLS))


def written(source: Tensor) -> Tensor:
    return transform(source, writing(SCALE, Y, HEIGHT, CELLS), writing(SCALE, X, WIDTH, CELLS))


def looped(source: Tensor, x: float, y: float) -> Tensor:
    """Σ_nm U_nm max(0, 1 - |x - m|) max(0, 1 - |y - n|) at a point in coordinates, for each channel. Eq. 5."""
    rows, columns = source.shape[-2:]
    column, row = ((x + 1) * columns - 1) / 2, ((y + 1) * rows - 1) / 2
    total = torch.zeros(len(source), dtype=source.dtype)
    for n in range(rows):
        for m in range(columns):
            total += source[:, n, m] * max(0.0, 1 - abs(column - m)) * max(0.0, 1 - abs(row - n))
    return total


def center(index: int, count: int) -> float:
    return (2 * index + 1) / count - 1


def test_a_window_that_is_read_is_the_double_sum_of_the_paper() -> None:
    found, source = read(images()), images()
    for b in range(3):
        s, x, y = SCALE[b].item(), X[b].item(), Y[b].item()
        for i in range(CELLS):
            for j in range(CELLS):
                expected = looped(source[b], s * center(j, CELLS) + x, s * center(i, CELLS) + y)
                torch.testing.assert_close(found[b, :, i, j], expected)


def test_a_window_that_is_written_is_the_double_sum_at_the_inverse_of_the_transform() -> None:
    found, source = written(windows()), windows()
    for b in range(3):
        s, x, y = SCALE[b].item(), X[b].item(), Y[b].item()
        for i in range(HEIGHT):
            for j in range(WIDTH):
                expected = looped(source[b], (center(j, WIDTH) - x) / s, (center(i, HEIGHT) - y) / s)
                torch.testing.assert_close(found[b, :, i, j], expected)


@pytest.mark.parametrize("direction", ["read", "write"])
def test_both_are_those_of_the_affine_grid_of_torch(direction: str) -> None:
    zero = torch.zeros_like(SCALE)
    if direction == "read":
        map_, source, found = [SCALE, zero, X, zero, SCALE, Y], images(), read(images())
    else:
        map_ = [1 / SCALE, zero, -X / SCALE, zero, 1 / SCALE, -Y / SCALE]
        source, found = windows(), written(windows())
    grid = F.affine_grid(torch.stack(map_, -1).view(3, 2, 3), list(found.shape), align_corners=False)
    torch.testing.assert_close(found, F.grid_sample(source, grid, "bilinear", "zeros", align_corners=False))


def test_the_whole_image_is_read_and_written_unchanged() -> None:
    one, zero = torch.ones(1), torch.zeros(1)
    image = torch.rand(1, 1, 7, 7)
    for weights in (reading, writing):
        torch.testing.assert_close(weights(one, zero, 7, 7), torch.eye(7)[None])
        torch.testing.assert_close(transform(image, weights(one, zero, 7, 7), weights(one, zero, 7, 7)), image)


def test_weights_far_outside_are_zero_and_those_between_two_pixels_are_their_distances() -> None:
    places = torch.tensor([[-50.0, -0.75, -0.6, 50.0]])  # pixels of 4 are at -0.75, -0.25, 0.25 and 0.75
    expected = torch.tensor([[[0.0, 0, 0, 0], [1, 0, 0, 0], [0.7, 0.3, 0, 0], [0, 0, 0, 0]]])
    torch.testing.assert_close(bilinear_weights(places, 4), expected)


def test_gradients_of_place_and_content_are_those_of_finite_differences() -> None:
    inputs = [each.clone().requires_grad_() for each in (SCALE + 0.013, X + 0.021, Y - 0.017, windows())]

    def write(scale: Tensor, x: Tensor, y: Tensor, source: Tensor) -> Tensor:
        return transform(source, writing(scale, y, HEIGHT, CELLS), writing(scale, x, WIDTH, CELLS))

    assert torch.autograd.gradcheck(write, inputs)


def test_no_pixels_are_refused() -> None:
    with pytest.raises(InputError):
        coordinates(0, torch.zeros(()))
