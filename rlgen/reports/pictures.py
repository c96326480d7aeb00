"""Grids of small images, and the pictures of a run."""

import io
import os
from pathlib import Path

import numpy as np

from rlgen.errors import problem
from rlgen.reports.page import Media, data_uri
from rlgen.runs.folder import RunFolder
from rlgen.system.files import atomic_write

LEAST_SIDE = 56
"""Smaller images [pixels] are enlarged by an integer factor, so that pixels stay square."""
GAP = 2
PAPER = 255


def image_grid(images: np.ndarray, columns: int) -> np.ndarray:
    """A grid, row by row, of images [N, C, H, W] in [0, 1], C 1 or 3, as a picture uint8 [height, width, 3]."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images) or columns < 1:
        got = f"an array {list(images.shape)} in {columns} columns"
        raise problem("images [N, C, H, W] of 1 or 3 channels", got, "check the shape of the images")
    bytes_ = np.rint(np.nan_to_num(images).clip(0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    factor = -(-LEAST_SIDE // max(images.shape[2:]))
    tiles = np.broadcast_to(bytes_, (*bytes_.shape[:3], 3)).repeat(factor, 1).repeat(factor, 2)
    rows, (height, width) = -(-len(tiles) // columns), tiles.shape[1:3]
    picture = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), PAPER, dtype=np.uint8)
    for index, tile in enumerate(tiles):
        top, left = GAP + index // columns * (height + GAP), GAP + index % columns * (width + GAP)
        picture[top : top + height, left : left + width] = tile
    return picture


def png_bytes(picture: np.ndarray) -> bytes:
    """A picture uint8 [height, width, 3] as PNG."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG")
    return data.getvalue()


def write_png(path: str | os.PathLike[str], picture: np.ndarray) -> Path:
    """Write `png_bytes` atomically; make the folder if it is missing."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(target, png_bytes(picture))
    return target


def pictures(folder: RunFolder, name: str) -> list[Media]:
    """The final picture of that name, or the newest one of an unfinished run; None without one."""
    found = [folder / f"{name}.png"] if (folder / f"{name}.png").is_file() else sorted((folder / name).glob("*.png"))
    note = folder.display.pictures[name]
    return [Media(source=data_uri(path.read_bytes(), ".png"), alt=note) for path in found[-1:]]
