"""Images as a coarse one and the details that each doubling adds."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Images = Float[Tensor, "B C H W"]


def halved(images: Images) -> Float[Tensor, "B C h w"]:
    """Half as high and wide, each pixel the mean of four: d of Denton et al. 2015 (1506.05751), section 2.2.

    Differs from Burt & Adelson 1983: a box instead of their five-tap filter, because a box needs no rule at the borders
    of images as small as 8 × 8.
    """
    return F.avg_pool2d(images, 2)


def doubled(images: Images) -> Float[Tensor, "B C H2 W2"]:
    """Twice as high and wide by linear interpolation between the centres of pixels: u of Denton et al. 2015
    (1506.05751), section 2.2."""
    return F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)


def laplacian_pyramid(images: Images, levels: int) -> tuple[Float[Tensor, "B C h w"], list[Tensor]]:
    """The images after `levels` halvings, and what each doubling on the way back misses, coarse to fine. Burt & Adelson
    1983; Denton et al. 2015 (1506.05751), eq. 3. Height and width must allow the halvings."""
    bands: list[Tensor] = []
    for _ in range(levels):
        coarse = halved(images)
        bands.insert(0, images - doubled(coarse))
        images = coarse
    return images, bands


def collapsed(coarse: Images, bands: Sequence[Tensor]) -> Float[Tensor, "B C H2 W2"]:
    """The images that `laplacian_pyramid` took apart. Denton et al. 2015 (1506.05751), eq. 4."""
    for band in bands:
        coarse = doubled(coarse) + band
    return coarse
