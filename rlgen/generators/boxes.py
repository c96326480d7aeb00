"""Frames around objects in images."""

from jaxtyping import Float
from torch import Tensor

from rlgen.errors import problem

LEAST_SIDE = 96
"""Smaller images [pixels] are enlarged by an integer factor before frames of one pixel are drawn."""
COLORS = ((1.0, 0.1, 0.1), (0.1, 0.9, 0.1), (0.3, 0.5, 1.0))
"""Red, green and blue, in turn for each object."""
Images = Float[Tensor, "B C H W"]
Pictures = Float[Tensor, "B 3 Y X"]


def enlargement(images: Images) -> int:
    """The factor by which images are enlarged."""
    return -(-LEAST_SIDE // max(images.shape[-2:]))


def enlarged(images: Images) -> Pictures:
    """Grey or color images as enlarged pictures in color, with square pixels."""
    if images.shape[1] not in (1, 3):
        raise problem("images of 1 or 3 channels", f"{images.shape[1]}", "check the shape of the images")
    factor = enlargement(images)
    large = images.repeat_interleave(factor, -2).repeat_interleave(factor, -1)
    return large.expand(-1, 3, -1, -1)


def outlined(images: Images, boxes: Float[Tensor, "B T 4"]) -> Pictures:
    """`enlarged` images with a frame of one pixel for each of the `boxes`: top, left, bottom and right in pixels of the
    image, NaN where there is none. A frame beyond the image runs along its edge."""
    pictures = enlarged(images).clone()
    height, width = pictures.shape[-2:]
    for picture, objects in zip(pictures, (boxes * enlargement(images)).tolist(), strict=True):
        for number, box in enumerate(objects):
            if box[0] == box[0]:
                top, bottom = (round(min(max(edge, 0), height - 1)) for edge in (box[0], box[2] - 1))
                left, right = (round(min(max(edge, 0), width - 1)) for edge in (box[1], box[3] - 1))
                color = picture.new_tensor(COLORS[number % len(COLORS)])[:, None]
                for row in (top, bottom):
                    picture[:, row, left : right + 1] = color
                for column in (left, right):
                    picture[:, top : bottom + 1, column] = color
    return pictures
