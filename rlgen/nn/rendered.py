"""Images rendered with factors that are known: a rotation and the direction of a light."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.equations.factor_batches import lambert_shading, rotated
from rlgen.nn.layers import without_autocast

AMBIENT = 0.2
"""Brightness in the shadow, as a fraction of the brightest."""
WIDEST = math.radians(90)
"""Azimuth of the surface's normal at the right edge of an image."""
FACTORS = ("rotation", "light")
Images = Float[Tensor, "B C H W"]


def rendered(images: Images, values: Float[Tensor, "B 2"], limits: tuple[float, float]) -> Images:
    """Images as they are seen rotated and lit. `values`: rotation and azimuth of the light, each from -1 to 1 as a
    fraction of its limit [degrees]. At 0 an image is upright and lit from the viewer."""
    rotation, light = (values * values.new_tensor(limits)).deg2rad().unbind(-1)
    shading = AMBIENT + (1 - AMBIENT) * lambert_shading(light, WIDEST, images.shape[-1])
    with without_autocast(images):  # the grid is a matrix product, whose half precision would move pixels
        return rotated(images, rotation) * shading[:, None, None]


def drawn_values(n: int, device: torch.device) -> Float[Tensor, "n 2"]:
    """Values of the factors for n images, uniform from -1 to 1."""
    return 2 * torch.rand(n, len(FACTORS), device=device) - 1
