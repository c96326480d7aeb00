"""Windows of an image that hold one object each: where they are, their reading and writing, and the code of their
content. Eslami et al. 2016 (AIR, 1603.08575), section 2.2.

Shapes: B batch, C channels, H height, W width, N cells per side of a window, Z dimension of the code.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.equations.spatial_transformer import reading, transform, writing
from rlgen.nn.layers import full_precision, mlp, without_autocast
from rlgen.nn.posterior import DiagonalGaussian

PLACE = 3
"""Numbers of a place: log scale, shift to the right and down."""
DARK = -2.0
"""Bias of a decoded window's logits, so that windows are dark at first: most pixels of an object's window are."""
PerRow = Float[Tensor, " B"]
Images = Float[Tensor, "B C H W"]
Windows = Float[Tensor, "B C N N"]


class Place(NamedTuple):
    """The place of a window in each image, each field [B], in coordinates from -1 to 1 between the image's edges."""

    scale: Tensor
    """Side of the window as a fraction of the image's sides."""
    x: Tensor
    """Center of the window, from left to right."""
    y: Tensor
    """Center of the window, from top to bottom."""


class Places(nn.Module):
    """The prior of places, and places from standard normal numbers."""

    mean: Tensor
    std: Tensor

    def __init__(self, scale: float, scale_std: float, shift_std: float):
        super().__init__()
        self.register_buffer("mean", torch.tensor([scale, 1.0, 1.0]).log(), persistent=False)
        self.register_buffer("std", torch.tensor([scale_std, shift_std, shift_std]), persistent=False)

    def forward(self, numbers: Float[Tensor, "B 3"]) -> Place:
        log_scale, x, y = (self.mean + self.std * numbers).unbind(-1)
        return Place(log_scale.exp(), x, y)


def read(images: Images, place: Place, cells: int) -> Windows:
    """The window at a place of each image."""
    height, width = images.shape[-2:]
    with without_autocast(images):
        rows, columns = reading(place.scale, place.y, height, cells), reading(place.scale, place.x, width, cells)
        return transform(images, rows, columns)


def write(windows: Windows, place: Place, height: int, width: int) -> Images:
    """Black images with a window at a place of each."""
    cells = windows.shape[-1]
    with without_autocast(windows):
        rows, columns = writing(place.scale, place.y, height, cells), writing(place.scale, place.x, width, cells)
        return transform(windows, rows, columns)


class WindowCoder(nn.Module):
    """A variational autoencoder of windows: perceptrons with one hidden layer."""

    def __init__(self, channels: int, cells: int, latent: int, hidden: int):
        super().__init__()
        self.chw = channels, cells, cells
        numbers = channels * cells**2
        self.encoder = nn.Sequential(nn.Linear(numbers, hidden), nn.ReLU())
        self.posterior = DiagonalGaussian(hidden, latent)
        self.decoder = mlp([latent, hidden, numbers], nn.ReLU)

    def features(self, windows: Windows) -> Float[Tensor, "B F"]:
        """What the posterior of the code is conditioned on."""
        return self.encoder(windows.flatten(1))

    def decode(self, codes: Float[Tensor, "B Z"]) -> Windows:
        """Windows in [0, 1]."""
        return (full_precision(self.decoder(codes)) + DARK).sigmoid().unflatten(-1, self.chw)
