"""Images within rows of numbers."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.nn.conv import strided_encoder


class ImageColumns(nn.Module):
    """Rows in which some of the columns are the pixels of images [C, H, W]: replaces those by features of a
    convolutional encoder (`strided_encoder`) and keeps all other columns. With rows as its only input, a discriminator
    of images needs no penalty, minibatch or graph of its own."""

    def __init__(self, size: int, images: Sequence[tuple[tuple[int, int, int], Sequence[int]]], filters: int):
        """`size`: columns of a row. `images`: shape of an image, and the columns at which images of this shape start,
        which share one encoder. `filters`: channels after the first convolution."""
        super().__init__()
        encoders = [strided_encoder(*shape, filters) for shape, _ in images]
        self.encoders = nn.ModuleList([encoder for encoder, _ in encoders])
        self.shapes = [shape for shape, _ in images]
        self.starts = sorted((start, number) for number, (_, starts) in enumerate(images) for start in starts)
        self.size = size
        for number, (shape, starts) in enumerate(images):
            self.size += len(starts) * (encoders[number][1] - torch.Size(shape).numel())
        """Columns of the output."""

    def forward(self, rows: Float[Tensor, "B D"]) -> Float[Tensor, "B E"]:
        parts, done = [], 0
        for start, number in self.starts:
            shape = torch.Size(self.shapes[number])
            end = start + shape.numel()
            parts += [rows[:, done:start], self.encoders[number](rows[:, start:end].unflatten(1, shape))]
            done = end
        return torch.cat([*parts, rows[:, done:]], 1)
