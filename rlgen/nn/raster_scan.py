"""How networks read images whose pixels are predicted one after another: all at once, where every pixel is known, or
along a scan, row by row and pixel by pixel, where only those before are."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Window(NamedTuple):
    """The surroundings of a pixel that a layer reads: its own row and those `above`, in each of them the columns from
    `left` to `right` of it."""

    above: int = 0
    left: int = 0
    right: int = 0


class WholeImages:
    """Reads all pixels at once: maps are [B, I, H, W]."""

    def crop(self, images: Tensor, window: Window) -> Tensor:
        """`images` [B, C, H, W] with zeros around them, as far as windows reach."""
        return F.pad(images, (window.left, window.right, window.above, 0))

    def joined(self, layer: object, x: Tensor, window: Window) -> Tensor:
        """`x` with zeros around it, as far as the windows of `layer` reach."""
        return self.crop(x, window)

    def each_row(self, layer: object, compute: Callable[[], Sequence[Tensor]]) -> Sequence[Tensor]:
        """The maps that `compute` returns, which depend on rows above alone."""
        return compute()


WHOLE = WholeImages()


class RasterScan(WholeImages):
    """Reads images pixel by pixel: maps are [B, I, 1, 1], those of the current pixel. A layer's inputs at earlier
    pixels are kept as long as its windows reach them, so that each is computed once. Ramachandran et al. 2017
    (1704.06001).

    A pixel may be read several times, e.g. for each of its colors; what is kept is the last reading.
    """

    def __init__(self, width: int):
        self.width, self.row = width, 0
        self._columns = slice(0, 1)
        self._kept: dict[object, Tensor] = {}
        self._of_row: dict[object, Sequence[Tensor]] = {}
        self._mirrors: dict[object, RasterScan] = {}

    def places(self, height: int) -> Iterator[tuple[int, int]]:
        """Moves through `height` rows; row and column of each pixel."""
        for _ in range(height):
            yield from ((self.row, column) for column in self.columns())
            self.next_row()

    def columns(self) -> Iterator[int]:
        """Moves through the current row; the column of each pixel."""
        for column in range(self.width):
            self._columns = slice(column, column + 1)
            yield column

    def next_row(self) -> None:
        """Moves to the start of the next row."""
        self.row += 1
        self._columns = slice(0, 1)
        self._of_row.clear()
        for layer, kept in self._kept.items():
            self._kept[layer] = F.pad(kept[:, :, 1:], (0, 0, 0, 1))

    def crop(self, images: Tensor, window: Window) -> Tensor:
        """The part of `images` [B, C, H, W] in the window of the current place, with zeros outside of them."""
        top, left = self.row - window.above, self._columns.start - window.left
        right = self._columns.stop + window.right
        inside = images[:, :, max(0, top) : self.row + 1, max(0, left) : right]
        missing = (max(0, -left), max(0, right - self.width), max(0, -top), 0)
        return F.pad(inside, missing) if any(missing) else inside

    def joined(self, layer: object, x: Tensor, window: Window) -> Tensor:
        """`x` with the earlier inputs of `layer` in its window, which grow by `x`."""
        kept = self.kept(layer, x, window)
        kept[:, :, -1, window.left : kept.shape[-1] - window.right] = x[:, :, 0]
        return kept

    def kept(self, layer: object, x: Tensor, window: Window) -> Tensor:
        """What `layer` keeps [B, I, above + 1, left + … + right] of the current window; may be written to. Zeros where
        nothing was written. `x` [B, I, …] determines size and type."""
        if layer not in self._kept:
            size = (*x.shape[:2], window.above + 1, window.left + self.width + window.right)
            self._kept[layer] = torch.zeros(size, dtype=x.dtype, device=x.device)
        return self._kept[layer][..., self._columns.start : self._columns.stop + window.left + window.right]

    def each_row(self, layer: object, compute: Callable[[], Sequence[Tensor]]) -> Sequence[Tensor]:
        """The current pixel of the maps that `compute` returned at the first pixel of the row, where it read the whole
        row."""
        if layer not in self._of_row:
            with self._whole_row():
                self._of_row[layer] = compute()
        return [each[..., self._columns] for each in self._of_row[layer]]

    def mirror(self, layer: object) -> "RasterScan":
        """The scan of a layer that reads complete rows again, from right to left."""
        return self._mirrors.setdefault(layer, RasterScan(self.width))

    @contextmanager
    def _whole_row(self) -> Iterator[None]:
        pixel, self._columns = self._columns, slice(0, self.width)
        try:
            yield
        finally:
            self._columns = pixel
