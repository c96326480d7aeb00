"""DRAW's window against the paper's formulas in explicit loops, and in limits where the result is known."""

import math

import pytest
import torch
from torch import Tensor

from rlgen.equations.selective_attention import (
    Window,
    filter_centers,
    filterbanks,
    gaussian_filters,
    read_window,
    window,
    write_window,
)
from rlgen.errors import InputError

HEIGHT, WIDTH, FILTERS = 5, 7, 3


def some_window() -> Window:
    torch.manual_seed(0)
    return window(0.3 * torch.randn(2, 5, dtype=torch.float64), HEIGHT, WIDTH, FILTERS)


def looped_filters(center: float, stride: float, variance: float, pixels: int) -> list[list[float]]:
    """Eq. 19, 20, 25 and 26 for i = 1 to N and a = 1 to A."""
    found = []
    for i in range(1, FILTERS + 1):
        mean = center + (i - FILTERS / 2 - 0.5) * stride
        values = [math.exp(-((a - mean) ** 2) / (2 * variance)) for a in range(1, pixels + 1)]
        found.append([value / sum(values) for value in values])
    return found


def looped_banks(grid: Window, row: int) -> tuple[Tensor, Tensor]:
    x, y, variance, stride = (grid[index][row].item() for index in range(4))
    rows, columns = looped_filters(y, stride, variance, HEIGHT), looped_filters(x, stride, variance, WIDTH)
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(columns, dtype=torch.float64)


def full_grid(side: int) -> tuple[Window, Tensor, Tensor]:
    """A window with a filter for each pixel of a square, as sharp as possible."""
    parameters = torch.tensor([[0.0, 0.0, -50.0, 0.0, 0.0]], dtype=torch.float64)
    grid = window(parameters, side, side, side)
    return grid, *filterbanks(grid, side, side, side)


def test_the_grid_of_a_linear_layer_is_that_of_the_formulas() -> None:
    parameters = torch.tensor([[0.5, -0.25, 0.1, -0.2, 0.3]], dtype=torch.float64)
    found = window(parameters, HEIGHT, WIDTH, FILTERS)
    expected = (8 / 2 * 1.5, 6 / 2 * 0.75, math.exp(0.1), 6 / 2 * math.exp(-0.2), math.exp(0.3))
    assert [each.item() for each in found] == pytest.approx(expected, rel=1e-12)


def test_a_grid_at_zero_covers_the_longer_side_around_the_middle() -> None:
    grid = window(torch.zeros(1, 5), HEIGHT, WIDTH, FILTERS)
    assert filter_centers(grid.center_x, grid.stride, FILTERS).tolist() == [[1.0, 4.0, 7.0]]
    assert filter_centers(grid.center_y, grid.stride, FILTERS).tolist() == [[0.0, 3.0, 6.0]]
    assert filter_centers(grid.center_x, grid.stride, 1).tolist() == [[4.0]]


def test_filters_are_those_of_explicit_loops() -> None:
    grid = some_window()
    rows, columns = filterbanks(grid, HEIGHT, WIDTH, FILTERS)
    for index in range(2):
        looped_rows, looped_columns = looped_banks(grid, index)
        torch.testing.assert_close(rows[index], looped_rows)
        torch.testing.assert_close(columns[index], looped_columns)


def test_every_filter_sums_to_one_even_far_from_the_image() -> None:
    centers = torch.tensor([[-1e4, 0.5, 3.0, 1e4]])
    filters = gaussian_filters(centers, torch.tensor([1e-6]), 6)
    torch.testing.assert_close(filters.sum(-1), torch.ones(1, 4))
    assert filters.argmax(-1).tolist() == [[0, 0, 2, 5]]


def test_reading_and_writing_are_sums_over_pixels_and_filters() -> None:
    grid = some_window()
    rows, columns = filterbanks(grid, HEIGHT, WIDTH, FILTERS)
    images = torch.rand(2, 2, HEIGHT, WIDTH, dtype=torch.float64)
    patches = torch.rand(2, 2, FILTERS, FILTERS, dtype=torch.float64)
    read, written = read_window(images, rows, columns, grid.intensity), torch.zeros_like(images)
    for b in range(2):
        looped_rows, looped_columns = looped_banks(grid, b)
        gamma = grid.intensity[b].item()
        for c in range(2):
            for i in range(FILTERS):
                for j in range(FILTERS):
                    weight = looped_rows[i][:, None] * looped_columns[j]
                    assert read[b, c, i, j].item() == pytest.approx(gamma * (weight * images[b, c]).sum().item())
                    written[b, c] += patches[b, c, i, j] * weight / gamma
    torch.testing.assert_close(write_window(patches, rows, columns, grid.intensity), written)


@pytest.mark.parametrize("side", [1, 4, 9])
def test_a_sharp_filter_for_each_pixel_reads_the_image_and_writes_it_back(side: int) -> None:
    grid, rows, columns = full_grid(side)
    images = torch.rand(1, 3, side, side, dtype=torch.float64)
    read = read_window(images, rows, columns, grid.intensity)
    torch.testing.assert_close(read, images, rtol=0, atol=1e-12)
    torch.testing.assert_close(write_window(read, rows, columns, grid.intensity), images, rtol=0, atol=1e-12)


def test_writing_is_the_adjoint_of_reading_but_for_the_intensity() -> None:
    grid = some_window()
    rows, columns = filterbanks(grid, HEIGHT, WIDTH, FILTERS)
    images = torch.rand(2, 1, HEIGHT, WIDTH, dtype=torch.float64, requires_grad=True)
    patches = torch.rand(2, 1, FILTERS, FILTERS, dtype=torch.float64)
    (read_window(images, rows, columns, grid.intensity) * patches).sum().backward()
    written = write_window(patches, rows, columns, grid.intensity)
    torch.testing.assert_close(images.grad, written * grid.intensity.square()[:, None, None, None])


def test_a_constant_image_is_read_as_that_constant_times_the_intensity() -> None:
    grid = some_window()
    rows, columns = filterbanks(grid, HEIGHT, WIDTH, FILTERS)
    read = read_window(torch.full((2, 1, HEIGHT, WIDTH), 0.7, dtype=torch.float64), rows, columns, grid.intensity)
    torch.testing.assert_close(read, 0.7 * grid.intensity[:, None, None, None].expand(2, 1, FILTERS, FILTERS))


def test_extreme_parameters_have_finite_filters_and_gradients() -> None:
    parameters = torch.tensor([[50.0, -50.0, -300.0, -80.0, 0.0], [0.0, 0.0, 80.0, 20.0, 0.0]], requires_grad=True)
    rows, columns = filterbanks(window(parameters, HEIGHT, WIDTH, FILTERS), HEIGHT, WIDTH, FILTERS)
    (rows.square().sum() + columns.square().sum()).backward()
    assert rows.isfinite().all()
    assert columns.isfinite().all()
    assert parameters.grad is not None
    assert parameters.grad.isfinite().all()


def test_a_window_without_filters_is_refused() -> None:
    with pytest.raises(InputError):
        window(torch.zeros(1, 5), HEIGHT, WIDTH, 0)
