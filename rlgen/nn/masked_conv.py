"""Convolutions whose outputs at a pixel depend only on pixels before it, from left to right and row by row."""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import problem
from rlgen.nn.raster_scan import WHOLE, WholeImages, Window

Colors = Int[Tensor, "_"]


def colors_of(features: int, colors: int) -> Colors:
    """The color that each of `features` belongs to, 0 to `colors` - 1, as evenly as possible. A feature sees its own
    color and those before it. van den Oord et al. 2016 (1601.06759), section 3.4."""
    if features < colors:
        raise problem(f"a feature for each of {colors} colors", f"{features} features", "use a larger width")
    return torch.arange(features) * colors // features


class WindowConv2d(nn.Conv2d):
    """Convolution over the window that ends with a pixel's own row."""

    def __init__(self, fan_in: int, fan_out: int, window: Window):
        super().__init__(fan_in, fan_out, (window.above + 1, window.left + 1 + window.right))
        self.window = window

    def forward(self, x: Float[Tensor, "B I H W"], scan: WholeImages = WHOLE) -> Float[Tensor, "B O H W"]:
        return self.of_window(scan.joined(self, x, self.window) if any(self.window) else x)

    def of_window(self, seen: Float[Tensor, "B I rows columns"]) -> Float[Tensor, "B O H W"]:
        """Outputs for inputs that include those around the pixels."""
        # In this memory format the next convolution is faster; with a single input channel it is not chosen by itself.
        return F.conv2d(seen, self.kernel(), self.bias).contiguous(memory_format=torch.channels_last)

    def kernel(self) -> Tensor:
        """Weights of the convolution [O, I, rows, columns]."""
        return self.weight


class MaskedConv2d(WindowConv2d):
    """Convolution of size × size without the pixels after the current one. van den Oord et al. 2016 (1601.06759),
    section 3.4.

    `before`, `after`: the colors of input and output features. Within the current pixel, mask A connects a feature to
    those of colors before its own, mask B to its own color as well. `in_row`: 1 × size instead of size × size.

    Differs from the paper: rows below the pixel, which its masks set to zero, are left out.
    """

    mask: Tensor

    def __init__(
        self, before: Colors, after: Colors, size: int = 1, mask: Literal["A", "B"] = "B", in_row: bool = False
    ):
        if size % 2 == 0:
            raise problem("an odd size of the kernel, with the pixel in its middle", f"{size}", "use e.g. 3")
        half = size // 2
        super().__init__(len(before), len(after), Window(left=half) if in_row else Window(half, half, half))
        seen = torch.ones_like(self.weight, dtype=torch.bool)
        seen[:, :, -1, half + 1 :] = False
        seen[:, :, -1, half] = after[:, None] > before if mask == "A" else after[:, None] >= before
        self.register_buffer("mask", seen)

    def kernel(self) -> Tensor:
        return self.weight * self.mask
