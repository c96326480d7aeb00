"""Minibatches in which one factor of the images varies: rendering of the factors, and the rule that clamps the latents
of the others. Kulkarni et al. 2015 (DC-IGN, 1503.03167), section 3.2.

Shapes: G minibatches, K images of each, Z latents, B images, C channels, H height, W width.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

PerImage = Float[Tensor, " B"]
Latents = Float[Tensor, "G K Z"]
Active = Bool[Tensor, "G Z"]


def clamped(latents: Latents, active: Active) -> Latents:
    """What the decoder gets: latents of the active factor unchanged, the others replaced by their mean over the
    minibatch, without gradient. Kulkarni et al. 2015 (1503.03167), section 3.2, steps 4 and 5.

    >>> clamped(torch.tensor([[[1.0, 5.0], [3.0, 7.0]]]), torch.tensor([[False, True]]))
    tensor([[[2., 5.],
             [2., 7.]]])
    """
    mean = latents.mean(1, keepdim=True).detach()
    return torch.where(active.unsqueeze(1), latents, mean)


def invariance(latents: Latents, active: Active) -> Float[Tensor, "G K"]:
    """½ Σ (z - mean)² over the latents of inactive factors. Its gradient is the difference from the minibatch's mean,
    the error that replaces the decoder's. Kulkarni et al. 2015 (1503.03167), section 3.2, step 7, where it is divided
    by 100."""
    difference = latents - latents.mean(1, keepdim=True).detach()
    return 0.5 * (difference.square() * ~active.unsqueeze(1)).sum(-1)


def rotated(images: Float[Tensor, "B C H W"], angle: PerImage) -> Float[Tensor, "B C H W"]:
    """Images rotated counterclockwise by `angle` [radians] around their middle, with zeros from outside. Jaderberg et
    al. 2015 (1506.02025), eq. 1 and 5, for a rotation."""
    height, width = images.shape[-2:]
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    # Coordinates are in halves of the sides, so the ratio of the sides keeps the angle in images that are not square.
    to_source = [cos, -sin * height / width, zero, sin * width / height, cos, zero]
    grid = F.affine_grid(torch.stack(to_source, -1).view(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, "bilinear", "zeros", align_corners=False)


def lambert_shading(azimuth: PerImage, widest: float, pixels: int) -> Float[Tensor, "B W"]:
    """max(0, cos(azimuth - normal)) of each column: brightness of a matte upright cylinder under a distant light.
    Lambert 1760, Photometria.

    `azimuth` [radians]: 0 for light from the viewer, positive from the right. `widest` [radians]: azimuth of the
    surface's normal at the right edge; columns between the edges have those between.
    """
    column = (2 * torch.arange(pixels, dtype=azimuth.dtype, device=azimuth.device) + 1) / pixels - 1
    return torch.cos(azimuth.unsqueeze(-1) - widest * column).clamp(min=0)
