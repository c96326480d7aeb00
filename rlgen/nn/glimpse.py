"""Reading and writing of images by a recurrent network: all of the image, or an N × N window. Gregor et al. 2015 (DRAW,
1502.04623), section 3.

Shapes: B batch, C channels, H height, W width, F features of the network's state, G numbers read.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.equations.selective_attention import filterbanks, read_window, window, write_window
from rlgen.nn.layers import full_precision

WINDOW_PARAMETERS = 5
"""g̃_X, g̃_Y, log σ², log δ̃ and log γ."""
Images = Float[Tensor, "B C H W"]
State = Float[Tensor, "B F"]


class Reader(nn.Module):
    """Returns all of the image and of the error image, whatever the state. Gregor et al. 2015, eq. 17."""

    def __init__(self, channels: int, height: int, width: int):
        super().__init__()
        self.numbers = 2 * channels * height * width
        """G, the numbers read in a step."""

    def forward(self, images: Images, errors: Images, state: State) -> Float[Tensor, "B G"]:
        return torch.cat([images, errors], 1).flatten(1)


class Writer(nn.Module):
    """Writes to all of the canvas, linearly in the state. Gregor et al. 2015, eq. 18."""

    def __init__(self, features: int, channels: int, height: int, width: int):
        super().__init__()
        self.head = nn.Linear(features, channels * height * width)
        self.chw = channels, height, width

    def forward(self, state: State) -> Images:
        return full_precision(self.head(state)).unflatten(-1, self.chw)


class WindowReader(nn.Module):
    """Reads an N × N window of the image and of the error image, at a place linear in the state. Gregor et al. 2015,
    eq. 27."""

    def __init__(self, features: int, channels: int, filters: int):
        super().__init__()
        self.filters, self.numbers = filters, 2 * channels * filters**2
        self.place = nn.Linear(features, WINDOW_PARAMETERS)

    def forward(self, images: Images, errors: Images, state: State) -> Float[Tensor, "B G"]:
        height, width = images.shape[-2:]
        grid = window(full_precision(self.place(state)), height, width, self.filters)
        rows, columns = filterbanks(grid, height, width, self.filters)
        return read_window(torch.cat([images, errors], 1), rows, columns, grid.intensity).flatten(1)


class WindowWriter(nn.Module):
    """Writes an N × N window to the canvas; the window and its place are linear in the state. Gregor et al. 2015, eq.
    28 and 29."""

    def __init__(self, features: int, channels: int, height: int, width: int, filters: int):
        super().__init__()
        self.filters, self.size = filters, (height, width)
        self.place = nn.Linear(features, WINDOW_PARAMETERS)
        self.patch = nn.Linear(features, channels * filters**2)

    def forward(self, state: State) -> Images:
        grid = window(full_precision(self.place(state)), *self.size, self.filters)
        rows, columns = filterbanks(grid, *self.size, self.filters)
        patches = full_precision(self.patch(state)).unflatten(-1, (-1, self.filters, self.filters))
        return write_window(patches, rows, columns, grid.intensity)
