"""CIFAR-10 and CIFAR-100 in their binary layout. Krizhevsky 2009, "Learning multiple layers of features from tiny
images", and the data set's page."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from rlgen.data.columns import reading
from rlgen.errors import problem
from rlgen.system.memory import require_room

SHAPE = (3, 32, 32)
"""Planes of red, green and blue, each by rows."""


class Layout(NamedTuple):
    """File names, number of label bytes before each image's pixels, and sizes of the complete set."""

    name: str
    folder: str
    train: str
    test: str
    labels: int
    classes: int
    complete: int


LAYOUTS = (
    Layout("cifar10", "cifar-10-batches-bin", "data_batch_[0-9]*.bin", "test_batch.bin", 1, 10, 50_000),
    Layout("cifar100", "cifar-100-binary", "train.bin", "test.bin", 2, 100, 50_000),
)


def cifar_folder(folder: Path) -> Path | None:
    """The folder itself or the one within it that holds CIFAR's binary files; None if neither does."""
    for layout in LAYOUTS:
        for found in (folder, folder / layout.folder):
            if any(found.glob(layout.train)):
                return found
    return None


def read_cifar(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Images uint8 [N, 3, 32, 32], labels [N] (of CIFAR-100 the fine ones) and the name of the set, which says how many
    images the training has if they are not all.

    Raises:
        InputError: a missing, cut or unrelated file; more data than fits in memory.
    """
    layout = next(each for each in LAYOUTS if any(folder.glob(each.train)))
    found = {which: _files(folder, getattr(layout, which)) for which in ("train", "test")}
    images, labels = _rows(found[split], layout)
    n_train = sum(path.stat().st_size for path in found["train"]) // _row(layout)
    name = layout.name if n_train == layout.complete else f"{layout.name}, first {n_train:,} images"
    return images, labels, name


def _files(folder: Path, pattern: str) -> list[Path]:
    found = sorted(folder.glob(pattern), key=lambda path: (len(path.name), path.name))
    if not found:
        raise problem(
            f"{pattern} in {folder}", "nothing", "unpack the archive again: it holds training and test images"
        )
    return found


def _row(layout: Layout) -> int:
    """Bytes per image, labels included."""
    return layout.labels + int(np.prod(SHAPE))


def _rows(paths: list[Path], layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    sizes = [path.stat().st_size for path in paths]
    for path, size in zip(paths, sizes, strict=True):
        if size == 0 or size % _row(layout):
            expected = (
                f"rows of {_row(layout)} bytes, {layout.labels} of labels and {_row(layout) - layout.labels} of pixels"
            )
            raise problem(expected, f"{size} bytes in {path}", "unpack or download the archive again")
    require_room(sum(sizes), f"the images of {paths[0].parent}")
    rows = np.empty((sum(sizes) // _row(layout), _row(layout)), np.uint8)
    start = 0
    for path, size in zip(paths, sizes, strict=True):
        with reading("CIFAR file", path):
            piece = np.fromfile(path, np.uint8).reshape(size // _row(layout), _row(layout))
            rows[start : start + len(piece)] = piece
        start += len(piece)
    labels = rows[:, layout.labels - 1].astype(np.int64)
    if labels.max() >= layout.classes:
        got = f"{labels.max()} in {paths[0].parent}"
        raise problem(f"labels from 0 to {layout.classes - 1}", got, "check that these are CIFAR's binary files")
    return rows[:, layout.labels :].reshape(-1, *SHAPE), labels
