"""Images as NumPy arrays: an .npz or .npy file, or a folder of .npy files, which are mapped into memory."""

from pathlib import Path

import numpy as np

from rlgen.data.class_numbers import numbered
from rlgen.data.columns import column, reading
from rlgen.data.formats.npz import npz_keys, read_npz
from rlgen.data.image_split import last_fifth
from rlgen.errors import problem

NAMES = {
    "train": (("train_images", "train_labels"), ("x_train", "y_train")),
    "test": (("test_images", "test_labels"), ("x_test", "y_test")),
}
"""Names of images and labels of a split: those of this library, which MedMNIST has too, and those of Keras."""
WHOLE = (("images", "labels"), ("x", "y"))
"""Names without a split."""
CHANNELS = (1, 3)
KNOWN = f"{NAMES['train'][0][0]} and {NAMES['test'][0][0]}, x_train and x_test, or {WHOLE[0][0]}"


def has_arrays(folder: Path) -> bool:
    """Whether the folder holds .npy files."""
    return any(folder.glob("*.npy"))


Found = tuple[np.ndarray, np.ndarray, tuple[str, ...]]


def read_arrays(path: Path, split: str) -> Found:
    """Images uint8 [N, C, H, W], classes [N] and their names (`rlgen.data.class_numbers`) of an .npz file of arrays, or
    of an .npy file of images.

    The arrays are `train_images`, `train_labels`, `test_images`, `test_labels` (or x_train, y_train, x_test, y_test);
    or `images` and `labels`, whose last fifth of each class is the test split. Images are [N, H, W], [N, H, W, C] or
    [N, C, H, W] with 1 or 3 channels. Without labels all images are of class 0.

    Raises:
        InputError: other names, shapes or types; a damaged file; more data than fits in memory.
    """
    if path.suffix == ".npy":
        return _split({"images": _mapped(path)}, split, path)
    if path.suffix != ".npz":
        got = f"{path}, which ends in {path.suffix or 'nothing'}"
        raise problem("a folder of images, or a file .npz or .npy", got, "give the folder, or convert the file")
    return _split(read_npz(path, (), _names(npz_keys(path), split)), split, path)


def read_array_folder(folder: Path, split: str) -> Found:
    """The same from a folder with an .npy file for each array. Images are mapped into memory: only the rows of a
    minibatch are read."""
    names = _names({path.stem for path in folder.glob("*.npy")}, split)
    return _split({name: _mapped(folder / f"{name}.npy") for name in names}, split, folder)


def _names(present: set[str], split: str) -> list[str]:
    """Those of the present arrays that hold the split or everything, and the labels of the other split."""
    for pair in (*NAMES[split], *WHOLE):
        if pair[0] in present:
            return sorted({*pair, *_labels(pair)} & present)
    return []


def _labels(pair: tuple[str, str]) -> list[str]:
    """The names of labels that go with a pair of arrays: its own, and those of the other split."""
    number = next((number for names in NAMES.values() for number, each in enumerate(names) if each == pair), None)
    return [pair[1]] if number is None else [names[number][1] for names in NAMES.values()]


def _mapped(path: Path) -> np.ndarray:
    with reading("NumPy file", path):
        # Copy on write: torch takes writable arrays only, and the file never changes.
        return np.load(path, mmap_mode="c", allow_pickle=False)


def _split(found: dict[str, np.ndarray], split: str, source: Path) -> Found:
    pair = next((each for each in (*NAMES[split], *WHOLE) if each[0] in found), None)
    if pair is None:
        got = f"none of them for the {split} images in {source}"
        raise problem(f"arrays of images called {KNOWN}", got, "rename the arrays")
    images = planes(found[pair[0]], f"{pair[0]} in {source}")
    names: tuple[str, ...] = ()
    labels = np.zeros(len(images), np.int64)
    if pair[1] in found:
        every = {
            name: column(np.asarray(found[name]), "count", 1, name, str(source)).astype(np.int64)
            for name in _labels(pair)
            if name in found
        }
        labels, names = numbered(every[pair[1]], list(every.values()))
    if len(labels) != len(images):
        got = f"{len(labels)} labels of {len(images)} images in {source}"
        raise problem("one label for each image", got, "write the file again")
    if pair not in WHOLE:
        return images, labels, names
    chosen = last_fifth(labels) == (split == "test")
    return images[chosen], labels[chosen], names


def planes(images: np.ndarray, source: str) -> np.ndarray:
    """Images [N, H, W], [N, H, W, C] or [N, C, H, W] as [N, C, H, W], without a copy."""
    if images.dtype != np.uint8:
        remedy = "give numbers from 0 to 255 as uint8, e.g. (255 * images).round().astype(numpy.uint8)"
        raise problem("images of bytes (uint8)", f"{images.dtype} in {source}", remedy)
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[1] in CHANNELS:
        return images
    if images.ndim == 4 and images.shape[3] in CHANNELS:
        return images.transpose(0, 3, 1, 2)
    expected = "images [N, H, W], [N, H, W, C] or [N, C, H, W] of 1 or 3 channels"
    raise problem(expected, f"{list(images.shape)} in {source}", "change the shape; drop a channel of transparency")
