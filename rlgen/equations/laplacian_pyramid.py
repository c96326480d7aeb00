"""The Laplacian pyramid: an image as a coarse image and one band of details per doubling."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Images = Float[Tensor, "B C H W"]


def halved(images: Images) -> Float[Tensor, "B C h w"]:
    """Images of half the height and width, each pixel the mean of four: d of Denton et al. 2015 (1506.05751), section
    2.2.

    Differs from Burt & Adelson 1983: a box filter instead of their five-tap filter, because a box filter needs no
    padding at the borders of images as small as 8 × 8.
    """
    return F.avg_pool2d(images, 2)


def doubled(images: Images) -> Float[Tensor, "B C H2 W2"]:
    """Images of twice the height and width, by linear interpolation between pixel centres: u of Denton et al. 2015
    (1506.05751), section 2.2."""
    return F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)


def laplacian_pyramid(images: Images, levels: int) -> tuple[Float[Tensor, "B C h w"], list[Tensor]]:
    """The images after `levels` halvings, and the residual of each doubling, coarse to fine. Burt & Adelson 1983;
    Denton et al. 2015 (1506.05751), eq. 3. Height and width must be divisible by 2^levels."""
    bands: list[Tensor] = []
    for _ in range(levels):
        coarse = halved(images)
        bands.insert(0, images - doubled(coarse))
        images = coarse
    return images, bands


def collapsed(coarse: Images, bands: Sequence[Tensor]) -> Float[Tensor, "B C H2 W2"]:
    """The images of a pyramid: the inverse of `laplacian_pyramid`. Denton et al. 2015 (1506.05751), eq. 4."""
    for band in bands:
        coarse = doubled(coarse) + band
    return coarse
