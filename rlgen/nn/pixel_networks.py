"""Networks that predict the pixels of images [B, C, H, W] from the pixels before them: outputs [B, P, H, W]."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, cast

from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.gating import gated_activation
from rlgen.nn.masked_conv import Colors, MaskedConv2d, WindowConv2d, colors_of
from rlgen.nn.raster_scan import WHOLE, WholeImages, Window

FIRST = 7
"""Size of the first layer's kernel (1601.06759, table 1)."""


class PixelSizes(NamedTuple):
    """Sizes of a network of pixels."""

    channels: int
    """C, channels of an image."""
    outputs: int
    """P, outputs per pixel; those of each color are consecutive."""
    width: int
    """h, features of a layer."""
    colors: int
    """Colors that are predicted one after another; 1 where the outputs predict all channels of a pixel at once."""

    def of(self, features: int) -> Colors:
        """The color that each of `features` belongs to."""
        return colors_of(features, self.colors)


class PixelHead(nn.Module):
    """The last layers: twice a ReLU and a convolution of 1 × 1. van den Oord et al. 2016 (1601.06759), table 1."""

    def __init__(self, sizes: PixelSizes, features: int):
        super().__init__()
        self.hidden = MaskedConv2d(sizes.of(features), sizes.of(features))
        self.last = MaskedConv2d(sizes.of(features), sizes.of(sizes.outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.relu(self.hidden(F.relu(x))))


class ResidualPixelNetwork(nn.Module):
    """A masked 7 × 7 convolution, residual blocks of 2 h features, and the head. van den Oord et al. 2016 (1601.06759),
    table 1 and figure 5. `block`: constructs a block from the colors of its 2 h features and those of h features."""

    def __init__(self, sizes: PixelSizes, depth: int, block: Callable[[Colors, Colors], nn.Module]):
        super().__init__()
        outer, inner = sizes.of(2 * sizes.width), sizes.of(sizes.width)
        self.first = MaskedConv2d(sizes.of(sizes.channels), outer, FIRST, "A")
        self.blocks = nn.ModuleList(block(outer, inner) for _ in range(depth))
        self.head = PixelHead(sizes, len(outer))

    def forward(self, images: Tensor, scan: WholeImages = WHOLE) -> Tensor:
        x = self.first.of_window(scan.crop(images, self.first.window))
        for block in self.blocks:
            x = x + block(x, scan)
        return self.head(x)


class MaskedBlock(nn.Module):
    """A residual block of PixelCNN: masked convolutions of 1 × 1, size × size and 1 × 1, each after a ReLU. van den
    Oord et al. 2016 (1601.06759), figure 5.

    With each row up it reaches size // 2 columns farther to the right, so that pixels beyond that are never seen: the
    blind spot that gated layers do not have (1606.05328, figure 1).
    """

    def __init__(self, outer: Colors, inner: Colors, size: int):
        super().__init__()
        self.down, self.middle = MaskedConv2d(outer, inner), MaskedConv2d(inner, inner, size)
        self.up = MaskedConv2d(inner, outer)

    def forward(self, x: Tensor, scan: WholeImages = WHOLE) -> Tensor:
        return self.up(F.relu(self.middle(F.relu(self.down(F.relu(x))), scan)))


class GatedBlock(nn.Module):
    """A layer of the gated PixelCNN. van den Oord et al. 2016 (1606.05328), figure 2."""

    def __init__(self, before: Colors, after: Colors, vertical: Window, size: int, mask: Literal["A", "B"]):
        super().__init__()
        self.vertical = WindowConv2d(len(before), 2 * len(after), vertical)
        self.across = nn.Conv2d(2 * len(after), 2 * len(after), 1)
        self.horizontal = MaskedConv2d(before, after.repeat(2), size, mask, in_row=True)
        self.out = MaskedConv2d(after, after)

    def above(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """The vertical stack's features, and what it adds to the gates of the horizontal one. `seen`: its inputs with
        those around them."""
        gates = self.vertical.of_window(seen)
        return gated_activation(*gates.chunk(2, 1)), self.across(gates)

    def along(self, seen: Tensor, above: Tensor) -> Tensor:
        """The horizontal stack's features. `seen`: its inputs with those to the left of them."""
        gates = self.horizontal.of_window(seen) + above
        return self.out(gated_activation(*gates.chunk(2, 1)))


class GatedPixelNetwork(nn.Module):
    """Gated PixelCNN: a vertical stack sees all rows above, a horizontal one the row up to the pixel; together they see
    every earlier pixel. van den Oord et al. 2016 (1606.05328), section 2.2 and figure 2."""

    def __init__(self, sizes: PixelSizes, depth: int, size: int):
        super().__init__()
        image, features, half = sizes.of(sizes.channels), sizes.of(sizes.width), size // 2
        rows = Window(FIRST // 2 - 1, FIRST // 2, FIRST // 2)
        self.first = GatedBlock(image, features, rows, FIRST, "A")
        blocks = [GatedBlock(features, features, Window(half, half, half), size, "B") for _ in range(depth)]
        self.blocks = cast(Sequence[GatedBlock], nn.ModuleList(blocks))
        self.head = PixelHead(sizes, sizes.width)

    def forward(self, images: Tensor, scan: WholeImages = WHOLE) -> Tensor:
        first, *others = scan.each_row(self, lambda: self.above(images, scan))
        x = self.first.along(scan.crop(images, self.first.horizontal.window), first)
        for block, above in zip(self.blocks, others, strict=True):
            x = x + block.along(scan.joined(block.horizontal, x, block.horizontal.window), above)
        return self.head(x)

    def above(self, images: Tensor, scan: WholeImages) -> Sequence[Tensor]:
        """What the vertical stack adds to the gates of each block."""
        half = FIRST // 2
        x, first = self.first.above(scan.crop(images, Window(half, half, half))[:, :, :-1])
        added = [first]
        for block in self.blocks:
            x, above = block.above(scan.joined(block.vertical, x, block.vertical.window))
            added.append(above)
        return added


class LSTMBlock(nn.Module):
    """A residual block of PixelRNN: an LSTM over h features and a 1 × 1 convolution. van den Oord et al. 2016
    (1601.06759), figure 5. `lstm`: constructs the LSTM from the colors of its inputs and states."""

    def __init__(self, outer: Colors, inner: Colors, lstm: Callable[[Colors, Colors], nn.Module]):
        super().__init__()
        self.lstm, self.up = lstm(outer, inner), MaskedConv2d(inner, outer)

    def forward(self, x: Tensor, scan: WholeImages = WHOLE) -> Tensor:
        return self.up(self.lstm(x, scan))
