"""Spatial transformer without rotation: reading an upright window of an image, and writing it back. Jaderberg et al.
2015 (1506.02025), section 3; the inverse that writes is that of Eslami et al. 2016 (AIR, 1603.08575).

Coordinates of an image and of a window go from -1 at the first edge to 1 at the last one; pixel m of M is centered at
(2 m + 1) / M - 1. A window of scale s and shift t has its coordinate u at s u + t in the image.
Shapes: B batch, C channels, M pixels and N cells of a window in one direction, I rows and J columns that are read.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.errors import problem

PerRow = Float[Tensor, " B"]


def coordinates(pixels: int, like: Tensor) -> Float[Tensor, " M"]:
    """Centers of `pixels` pixels, with dtype and device of `like`. Jaderberg et al. 2015 (1506.02025), section 3.2, for
    coordinates between -1 and 1.

    >>> coordinates(4, torch.zeros(()))
    tensor([-0.7500, -0.2500,  0.2500,  0.7500])
    """
    if pixels < 1:
        raise problem("a window or an image of at least one pixel", f"{pixels}", "use e.g. 20")
    return (2 * torch.arange(pixels, dtype=like.dtype, device=like.device) + 1) / pixels - 1


def bilinear_weights(places: Float[Tensor, "B N"], pixels: int) -> Float[Tensor, "B N M"]:
    """max(0, 1 - |place - m|) for the pixels m, with places in coordinates. A place outside the image has the weights
    of an image surrounded by zeros. Jaderberg et al. 2015 (1506.02025), eq. 5, one of its two factors."""
    place = ((places + 1) * pixels - 1) / 2
    pixel = torch.arange(pixels, dtype=places.dtype, device=places.device)
    return (1 - (place.unsqueeze(-1) - pixel).abs()).clamp(min=0)


def reading(scale: PerRow, shift: PerRow, pixels: int, cells: int) -> Float[Tensor, "B N M"]:
    """Weights of an image's pixels in each cell of a window. Jaderberg et al. 2015 (1506.02025), eq. 1 with the
    attention of eq. 2, in one direction."""
    places = scale.unsqueeze(-1) * coordinates(cells, scale) + shift.unsqueeze(-1)
    return bilinear_weights(places, pixels)


def writing(scale: PerRow, shift: PerRow, pixels: int, cells: int) -> Float[Tensor, "B M N"]:
    """Weights of a window's cells in each pixel of an image: the inverse transform, u = (v - t) / s. Eslami et al. 2016
    (1603.08575), section 3.1."""
    places = (coordinates(pixels, scale) - shift.unsqueeze(-1)) / scale.unsqueeze(-1)
    return bilinear_weights(places, cells)


def transform(
    images: Float[Tensor, "B C H W"], rows: Float[Tensor, "B I H"], columns: Float[Tensor, "B J W"]
) -> Float[Tensor, "B C I J"]:
    """Σ_nm rows_in image_nm columns_jm of every channel: eq. 5 of Jaderberg et al. 2015 (1506.02025), whose double sum
    has two factors because the window is upright."""
    return rows.unsqueeze(1) @ images @ columns.unsqueeze(1).mT
