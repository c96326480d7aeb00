"""Loads images by data set name, from folders of pictures and from IDX files."""

import gzip
import importlib
import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from rlgen.data.picture_folder import has_pictures, read_pictures
from rlgen.errors import InputError, problem
from rlgen.system.memory import require_room

UNSIGNED_BYTE = 0x08
TYPES = {0x08: "unsigned bytes", 0x09: "bytes", 0x0B: "shorts", 0x0C: "ints", 0x0D: "floats", 0x0E: "doubles"}
GZIP = b"\x1f\x8b"
PIECE = 1 << 24
"""Bytes read at a time, so that a header that promises more than the file holds costs no memory."""


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """The unsigned bytes of an IDX file as an array of `dimensions` dimensions. LeCun, Cortes & Burges 1998, "The MNIST
    database", on the file format.

    Raises:
        InputError: a missing file; not an IDX file; another type or number of dimensions; fewer or more bytes than the
            header says; a damaged archive; more data than fits in memory.
    """
    if not path.is_file():
        raise problem(f"an IDX file at {path}", "nothing", "check the folder; the file may end in .gz or not")
    try:
        with _opened(path) as file:
            sizes = _sizes(file, path, dimensions)
            if isinstance(file, gzip.GzipFile):
                require_room(math.prod(sizes), f"the bytes of {path}", path.stat().st_size)
            content = _read(file, math.prod(sizes) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, f"cannot be read ({type(error).__name__}: {error})") from error
    if len(content) != math.prod(sizes):
        got = "more" if len(content) > math.prod(sizes) else f"{len(content)}"
        shape = " × ".join(str(size) for size in sizes)
        raise _damaged(path, f"holds {got} bytes where its header says {shape} = {math.prod(sizes)}")
    return np.frombuffer(content, dtype=np.uint8).reshape(sizes)


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedIOBase]:
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked


def _sizes(file: io.BufferedIOBase, path: Path, dimensions: int) -> tuple[int, ...]:
    """The size along each dimension, after the magic number 0, 0, type, dimensions."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES:
        raise problem(
            "an IDX file, which begins with two zero bytes, a type and a number of dimensions",
            f"{path}, which begins with {magic.hex(' ') or 'nothing'}",
            "check that this is the right file and that the download is not an error page",
        )
    if magic[2] != UNSIGNED_BYTE or magic[3] != dimensions:
        raise problem(
            f"unsigned bytes in {dimensions} dimensions",
            f"{path} with {TYPES[magic[2]]} in {magic[3]}",
            "check that images and labels are not swapped; images have 3 dimensions, labels 1",
        )
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise _damaged(path, "ends within its header")
    return struct.unpack(f">{dimensions}I", header)


def _read(file: io.BufferedIOBase, most: int) -> bytearray:
    """Up to `most` bytes."""
    content = bytearray()
    while len(content) < most and (piece := file.read(min(PIECE, most - len(content)))):
        content += piece
    return content


def _damaged(path: Path, what: str) -> InputError:
    return problem("a complete IDX file", f"{path}, which {what}", "copy or download it again")


SPLITS = ("train", "test")
PREFIX = {"train": "train", "test": "t10k"}


class Hub(NamedTuple):
    """A data set on the Hugging Face hub, in Parquet files: reading it runs no code of its authors."""

    id: str
    image: str
    label: str
    mode: str
    """Pillow's mode: L grey, RGB color."""


HUB = {
    "mnist": Hub("ylecun/mnist", "image", "label", "L"),
    "fashion-mnist": Hub("zalando-datasets/fashion_mnist", "image", "label", "L"),
    "cifar10": Hub("uoft-cs/cifar10", "img", "label", "RGB"),
}


def is_folder(name_or_folder: str | Path) -> bool:
    """Whether the argument is a folder and not the name of a data set."""
    return name_or_folder not in ("digits", *HUB)


def read(name_or_folder: str | Path, split: str) -> dict[str, Any]:
    """The fields of an `ImageSet`."""
    if name_or_folder == "digits":
        return _digits(split)
    if isinstance(name_or_folder, str) and not is_folder(name_or_folder):
        return _hub(name_or_folder, split)
    return _folder(Path(name_or_folder), split)


def _folder(folder: Path, split: str) -> dict[str, Any]:
    """Reads MNIST's files or a user's own pictures, depending on what the folder holds."""
    if not folder.is_dir():
        raise problem(
            f"one of {', '.join(['digits', *HUB])}, or a folder of pictures or IDX files",
            f"{folder}, which is not a folder",
            "check the spelling",
        )
    if has_pictures(folder):
        return _fields(*read_pictures(folder, split), folder.resolve().name, split)
    return _idx_folder(folder, split)


def _idx_folder(folder: Path, split: str) -> dict[str, Any]:
    """Reads MNIST's four file names, which Fashion-MNIST and others share, each with or without .gz."""
    images = read_idx(_idx_file(folder, f"{PREFIX[split]}-images-idx3-ubyte"), 3)
    labels = read_idx(_idx_file(folder, f"{PREFIX[split]}-labels-idx1-ubyte"), 1)
    if len(images) != len(labels):
        raise problem(
            "as many labels as images",
            f"{len(labels)} labels and {len(images)} images in {folder} ({split})",
            "take both files from one download",
        )
    return _fields(images[:, None], labels, folder.resolve().name, split)


def _idx_file(folder: Path, name: str) -> Path:
    """The plain file if it exists, else the gzipped one; the last dash may be a dot, as some archives unpack it."""
    candidates = [folder / (stem + end) for stem in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")]
    found = next((path for path in candidates if path.is_file()), None)
    if found is None:
        raise problem(
            f"pictures (.png, .jpg), or {name} or {name}.gz, in {folder}",
            "neither",
            "put pictures of one size there, in a folder for each class if there are any, or MNIST's four files: "
            "train- and t10k-, images-idx3-ubyte and labels-idx1-ubyte",
        )
    return found


def _digits(split: str) -> dict[str, Any]:
    """1797 digits of 8 × 8 pixels in 17 shades, from scikit-learn (UCI Optical Recognition of Handwritten Digits, its
    test part). The last fifth of each class in file order is the test split, so no random generator is involved."""
    try:
        # Imported by name, because scikit-learn is needed for this data set only and is not a dependency.
        found = importlib.import_module("sklearn.datasets").load_digits()
    except ImportError as error:
        raise problem(
            "scikit-learn, which holds the data set digits",
            "a Python without it",
            "pip install scikit-learn, or give a folder of MNIST's files",
        ) from error
    labels = np.asarray(found.target)
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        test[rows[len(rows) - len(rows) // 5 :]] = True
    kept = test if split == "test" else ~test
    images = np.rint(np.asarray(found.images) * (255 / 16)).astype(np.uint8)
    return _fields(images[kept, None], labels[kept], "digits", split)


def _hub(name: str, split: str) -> dict[str, Any]:
    """Reads the cache of the package `datasets`, or downloads into it."""
    hub = HUB[name]
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise problem(
            f"the package datasets, which loads {name}",
            "a Python without it",
            "pip install 'rlgen[data]', or give a folder of MNIST's four files",
        ) from error
    try:
        found = load_dataset(hub.id, split=split)
        images = np.stack([np.asarray(image.convert(hub.mode), dtype=np.uint8) for image in found[hub.image]])
        labels = np.asarray(found[hub.label])
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        # No network, a removed data set, a full disk: the hub's clients raise subclasses of these for all of them.
        first_line = (str(error).splitlines() or [""])[0]
        raise problem(
            f"the data set {hub.id} in the cache of the package datasets, or a network to fetch it",
            f"{type(error).__name__}: {first_line}",
            "connect and try again, or give a folder of MNIST's four files instead of a name",
        ) from error
    pixels = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return _fields(pixels, labels, name, split)


def _fields(images: np.ndarray, labels: np.ndarray, name: str, split: str) -> dict[str, Any]:
    return {
        "images": torch.from_numpy(np.array(images, dtype=np.uint8, order="C")),
        "labels": torch.from_numpy(labels.astype(np.int64)),
        "name": name,
        "split": split,
    }
