"""Selective attention of DRAW: reading and writing an N × N window of an image by Gaussian filters. Gregor et al. 2015
(1502.04623), section 3.2.

Positions are counted in pixels from 1, as in the paper, so the middle of W pixels is at (W + 1) / 2.
Shapes: B batch, C channels, H height, W width, N filters per side of the window.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.errors import problem

PerRow = Float[Tensor, " B"]
Images = Float[Tensor, "B C H W"]
Patches = Float[Tensor, "B C N N"]
RowFilters = Float[Tensor, "B N H"]
ColumnFilters = Float[Tensor, "B N W"]

LOWEST_LOG_VARIANCE = -14.0
"""Lower limit of a filter's log variance: at a standard deviation of a thousandth of a pixel it selects single
pixels."""


class Window(NamedTuple):
    """A grid of N × N Gaussian filters for each image, each field [B]."""

    center_x: Tensor
    """Column of the grid's center, pixels from 1."""
    center_y: Tensor
    """Row of the grid's center, pixels from 1."""
    variance: Tensor
    """Variance of the filters, pixels²."""
    stride: Tensor
    """Distance between neighboring filters, pixels."""
    intensity: Tensor
    """Factor of what is read; what is written is divided by it."""


def window(parameters: Float[Tensor, "B 5"], height: int, width: int, filters: int) -> Window:
    """The grid for the outputs (g̃_X, g̃_Y, log σ², log δ̃, log γ) of a linear layer. At zero it covers the longer side
    of the image. Gregor et al. 2015 (1502.04623), eq. 21 to 24.

    Differs from the paper: log σ² is limited from below, so that filters stay finite.
    """
    if filters < 1:
        raise problem("a window of at least one filter", f"{filters}", "use e.g. 5")
    x, y, log_variance, log_stride, log_intensity = parameters.unbind(-1)
    return Window(
        center_x=(width + 1) / 2 * (x + 1),
        center_y=(height + 1) / 2 * (y + 1),
        variance=log_variance.clamp(min=LOWEST_LOG_VARIANCE).exp(),
        stride=(max(height, width) - 1) / max(filters - 1, 1) * log_stride.exp(),
        intensity=log_intensity.exp(),
    )


def filter_centers(center: PerRow, stride: PerRow, filters: int) -> Float[Tensor, "B N"]:
    """g + (i - N/2 - 1/2) δ for i = 1 to N, pixels. Gregor et al. 2015 (1502.04623), eq. 19 and 20.

    >>> filter_centers(torch.tensor([4.5]), torch.tensor([2.0]), filters=3)
    tensor([[2.5000, 4.5000, 6.5000]])
    """
    offset = torch.arange(filters, dtype=center.dtype, device=center.device) - (filters - 1) / 2
    return center.unsqueeze(-1) + offset * stride.unsqueeze(-1)


def gaussian_filters(centers: Float[Tensor, "B N"], variance: PerRow, pixels: int) -> Float[Tensor, "B N pixels"]:
    """exp(-(a - μ)² / (2 σ²)) / Z over the pixels a, each filter summing to 1. Gregor et al. 2015 (1502.04623), eq. 25
    and 26.

    Computed as a softmax, because all values of a filter far from the image would underflow.
    """
    place = torch.arange(1, pixels + 1, dtype=centers.dtype, device=centers.device)
    return torch.softmax(-0.5 * (place - centers.unsqueeze(-1)).square() / variance[:, None, None], -1)


def filterbanks(grid: Window, height: int, width: int, filters: int) -> tuple[RowFilters, ColumnFilters]:
    """F_Y and F_X of a grid. Gregor et al. 2015 (1502.04623), eq. 19, 20, 25 and 26."""
    rows = gaussian_filters(filter_centers(grid.center_y, grid.stride, filters), grid.variance, height)
    columns = gaussian_filters(filter_centers(grid.center_x, grid.stride, filters), grid.variance, width)
    return rows, columns


def read_window(images: Images, rows: RowFilters, columns: ColumnFilters, intensity: PerRow) -> Patches:
    """γ F_Y x F_Xᵀ of every channel. Gregor et al. 2015 (1502.04623), eq. 27."""
    return intensity[:, None, None, None] * (rows.unsqueeze(1) @ images @ columns.unsqueeze(1).mT)


def write_window(patches: Patches, rows: RowFilters, columns: ColumnFilters, intensity: PerRow) -> Images:
    """F_Yᵀ w F_X / γ of every channel. Gregor et al. 2015 (1502.04623), eq. 29."""
    return rows.unsqueeze(1).mT @ patches @ columns.unsqueeze(1) / intensity[:, None, None, None]
