"""LSTMs over the rows and over the diagonals of images. van den Oord et al. 2016 (PixelRNN, 1601.06759), section 3."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.gating import lstm_update
from rlgen.nn.layers import full_precision
from rlgen.nn.masked_conv import Colors, MaskedConv2d
from rlgen.nn.raster_scan import WHOLE, RasterScan, WholeImages, Window

Features = Float[Tensor, "B I H W"]
States = Float[Tensor, "B h H W"]


def skew(x: Float[Tensor, "H W *any"], value: float = 0.0) -> Float[Tensor, "H D *any"]:
    """Row r moved to the right by r columns, so that diagonals become columns; D = H + W - 1. `value` fills the rest.
    van den Oord et al. 2016 (1601.06759), figure 3."""
    height, width = x.shape[:2]
    later = F.pad(x.reshape(height, width, -1), (0, 0, 0, height), value=value)
    # Read as rows that are shorter by one, each row is one column later than the row before it.
    moved = later.flatten(0, 1)[: height * (height + width - 1)]
    return moved.view(height, height + width - 1, *x.shape[2:])


def unskew(x: Float[Tensor, "H D *any"]) -> Float[Tensor, "H W *any"]:
    """The inverse of `skew`."""
    height, diagonals = x.shape[:2]
    moved = F.pad(x.reshape(height * diagonals, -1), (0, 0, 0, height))
    return moved.view(height, diagonals + 1, *x.shape[2:])[:, : diagonals + 1 - height]


class LineLSTM(nn.Module, ABC):
    """Base class of LSTMs from line to line: the state of a pixel depends on the image's features there, by a masked
    convolution, and on the states of the nearest pixels in the line before."""

    line: ClassVar[tuple[int, int]]
    """Number of nearest pixels in the line before, on one side of the pixel and on the other, besides its own."""
    window: ClassVar[Window]
    """The window of the image in which these are."""

    def __init__(self, before: Colors, after: Colors, size: int = 1):
        super().__init__()
        self.features = len(after)
        self.input = MaskedConv2d(before, after.repeat(4), size, in_row=True)
        self.state = nn.Linear((sum(self.line) + 1) * self.features, 4 * self.features, bias=False)

    def forward(self, x: Features, scan: WholeImages = WHOLE) -> States:
        """Hidden states [B, features, H, W] of features [B, I, H, W]."""
        gates = full_precision(self.input(x, scan))
        if not isinstance(scan, RasterScan):
            return self.of_image(gates.permute(2, 3, 0, 1).contiguous()).permute(2, 3, 0, 1)
        states = scan.kept(self, gates[:, : 2 * self.features], self.window)  # hidden states and cells
        nearest, cell = self.nearest(states)
        hidden, cell = lstm_update(gates[..., 0, 0] + self.state(nearest[:, : self.features].mT.flatten(1)), cell)
        states[:, :, -1, self.window.left] = torch.cat([hidden, cell], 1)
        return hidden[..., None, None]

    def over_lines(self, gates: Float[Tensor, "T N B gates"]) -> Float[Tensor, "T N B h"]:
        """Hidden states of T lines of N pixels."""
        size, images = gates.shape[1:3]
        around = (0, 0, 0, 0, *self.line)
        padded = gates.new_zeros(size + sum(self.line), images, self.features)
        cell, states = gates.new_zeros(size, images, self.features), []
        for line in gates.unbind():
            nearest = torch.cat([padded[first : first + size] for first in range(sum(self.line) + 1)], -1)
            hidden, cell = lstm_update(line + self.state(nearest), cell)
            padded = F.pad(hidden, around)
            states.append(hidden)
        return torch.stack(states)

    @abstractmethod
    def of_image(self, gates: Float[Tensor, "H W B gates"]) -> Float[Tensor, "H W B h"]:
        """Hidden states of an image's gates."""

    @abstractmethod
    def nearest(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """From the hidden states and cells [B, 2 h, rows, columns] in the window: those [B, 2 h, n] of the nearest
        pixels in the line before, and the cell [B, h] that the current pixel continues."""


class RowLSTM(LineLSTM):
    """An LSTM from row to row: the state of a pixel depends on features of its row up to the pixel, within `size`, and
    on the states of the three nearest pixels of the row above. van den Oord et al. 2016 (1601.06759), section 3.1.

    It sees a triangle above the pixel.
    """

    line = (1, 1)
    window = Window(above=1, left=1, right=1)

    def of_image(self, gates: Float[Tensor, "H W B gates"]) -> Float[Tensor, "H W B h"]:
        return self.over_lines(gates)

    def nearest(self, states: Tensor) -> tuple[Tensor, Tensor]:
        return states[:, :, 0], states[:, self.features :, 0, 1]


class DiagonalLSTM(LineLSTM):
    """An LSTM from the upper left corner: the state of a pixel depends on its features and on the states of the pixels
    above it and to the left, hence on all features above and to the left. van den Oord et al. 2016 (1601.06759),
    section 3.2."""

    line = (1, 0)
    window = Window(above=1, left=1)

    def of_image(self, gates: Float[Tensor, "H W B gates"]) -> Float[Tensor, "H W B h"]:
        diagonals = skew(gates, -torch.inf)  # closed gates: outside of the image hidden states and cells stay zero
        return unskew(self.over_lines(diagonals.transpose(0, 1)).transpose(0, 1))

    def nearest(self, states: Tensor) -> tuple[Tensor, Tensor]:
        above, left = states[:, :, 0, 1], states[:, :, 1, 0]
        return torch.stack([above, left], -1), left[:, self.features :]


class DiagonalBiLSTM(nn.Module):
    """The sum of a `DiagonalLSTM` from the upper left corner, and of one from the upper right corner moved down by a
    row: it sees the features of all pixels before the current one. van den Oord et al. 2016 (1601.06759), section 3.2.

    Features that do not include their own pixel (mask A) leave one pixel unseen: the last one of the row above.
    """

    def __init__(self, before: Colors, after: Colors):
        super().__init__()
        self.left, self.right = DiagonalLSTM(before, after), DiagonalLSTM(before, after)

    def forward(self, x: Features, scan: WholeImages = WHOLE) -> States:
        if not isinstance(scan, RasterScan):
            right = self.right(x.flip(-1)).flip(-1)
            return self.left(x) + F.pad(right[:, :, :-1], (0, 0, 1, 0))
        scan.joined(self, x, Window(above=1))
        (right,) = scan.each_row(self, lambda: [self._right_above(x, scan)])
        return self.left(x, scan) + right

    def _right_above(self, x: Tensor, scan: RasterScan) -> Tensor:
        """The states [B, h, 1, W] of the LSTM from the right in the row above."""
        if scan.row == 0:
            return x.new_zeros(len(x), self.right.features, 1, scan.width)
        flipped, mirror = scan.kept(self, x, Window(above=1))[:, :, :1].flip(-1), scan.mirror(self)
        states = [self.right(flipped[..., column : column + 1], mirror) for column in mirror.columns()]
        mirror.next_row()
        return torch.cat(states, -1).flip(-1)
