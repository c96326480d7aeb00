"""The images of demonstrations, as a set of images to learn."""

from pathlib import Path

import numpy as np

from rlgen.data import formats
from rlgen.data import observations as tree
from rlgen.data.formats.npz import npz_keys
from rlgen.data.observations import SharedRows
from rlgen.data.spaces import channels_first, channels_first_shape
from rlgen.errors import problem


def has_demonstrations(path: Path) -> bool:
    """Whether an .npz file holds demonstrations in one of the known layouts."""
    present = npz_keys(path)
    return any(keys <= present for keys in formats.NPZ_KEYS.values())


def demonstrated_images(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, C, H, W] and labels [N], all 0: the observation of each step. The last fifth of them, in the
    order of the episodes, is the test split.

    Raises:
        InputError: vectors, or several images in an observation.
    """
    rows = formats.read(path, "auto", None)
    found = [each for each in tree.entries(rows.observations).values() if each.dtype == np.uint8 and each.ndim == 4]
    if len(found) != 1:
        got = f"{tree.described(rows.observations)} in {path}"
        raise problem("demonstrations with one image in each observation", got, "give a file of images")
    images = found[0].store if isinstance(found[0], SharedRows) else found[0]
    images = channels_first(images, channels_first_shape(images.shape[1:]))
    cut = len(images) - len(images) // 5
    chosen = images[cut:] if split == "test" else images[:cut]
    return chosen, np.zeros(len(chosen), np.int64)
