"""One PNG or JPEG picture as bytes, as viewers show it: upright, and before a white background."""

from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data.columns import reading

FORMATS = ("PNG", "JPEG")
"""The only Pillow decoders used, whatever a file's name: some of the others start programs."""
DECODING = 20
"""Bytes per pixel of the one picture being decoded, including copies."""
ORIENTATION = 0x0112
"""EXIF's tag of how a camera was held, from 1 (upright) to 8."""
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Pillow's name of what makes pixels of an orientation upright; the last four exchange width and height."""
BACKGROUND = "white"


def header(path: Path) -> tuple[tuple[int, int], str]:
    """Width and height of the upright picture, and Pillow's mode, without decoding its pixels."""
    with reading("picture", path), _opened(path) as picture:
        width, height = picture.size
        return (height, width) if _orientation(picture) > 4 else (width, height), picture.mode


def pixels(path: Path, size: tuple[int, int], mode: str) -> np.ndarray:
    """The picture in Pillow's `mode` L [H, W] or RGB [H, W, 3], uint8. If its width and height are not `size`, the
    largest square in its middle is scaled to that.

    It is turned as EXIF's orientation says. What is transparent shows a white background: the colors that are stored
    under transparent pixels are arbitrary, and are no part of the picture.
    """
    with reading("picture", path), _opened(path) as picture:
        upright = _upright(picture, _orientation(picture))  # the orientation is read before Pillow loads the pixels
        return np.asarray(_fitted(_opaque(upright).convert(mode), size))


def _opened(path: Path) -> Any:
    from PIL import Image

    return Image.open(path, formats=FORMATS)


def _orientation(picture: Any) -> int:
    """EXIF's orientation, from what the file has before the pixels; 1 for none and for one that does not exist."""
    from PIL import Image

    # Pillow's method for PNG would decode the pixels, to look behind them as well.
    found = Image.Image.getexif(picture).get(ORIENTATION)
    return found if found in TURNS else 1


def _upright(picture: Any, orientation: int) -> Any:
    from PIL import Image

    return picture if orientation == 1 else picture.transpose(Image.Transpose[TURNS[orientation]])


def _opaque(picture: Any) -> Any:
    """The picture before the background."""
    from PIL import Image

    if picture.mode not in ("LA", "RGBA") and "transparency" not in picture.info:
        return picture
    shown = Image.new("RGBA", picture.size, BACKGROUND)
    shown.alpha_composite(picture.convert("RGBA"))
    return shown


def _fitted(picture: Any, size: tuple[int, int]) -> Any:
    """The picture, or if it has another size, the largest square in its middle, scaled to `size`."""
    from PIL import Image

    if picture.size == size:
        return picture
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return picture.crop((left, top, left + side, top + side)).resize(size, Image.Resampling.BICUBIC)
