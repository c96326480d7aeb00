"""IDX files, the format of MNIST."""

import gzip
import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from rlgen.data.class_numbers import numbered
from rlgen.errors import InputError, problem
from rlgen.system.memory import require_room

PREFIX = {"train": "train", "test": "t10k"}
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


def read_idx_folder(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Images [N, 1, H, W], classes [N] and their names (`rlgen.data.class_numbers`) of MNIST's four file names, which
    Fashion-MNIST and others share, each with or without .gz."""
    images = read_idx(_idx_file(folder, f"{PREFIX[split]}-images-idx3-ubyte"), 3)
    labels = read_idx(_idx_file(folder, f"{PREFIX[split]}-labels-idx1-ubyte"), 1)
    if len(images) != len(labels):
        raise problem(
            "as many labels as images",
            f"{len(labels)} labels and {len(images)} images in {folder} ({split})",
            "take both files from one download",
        )
    others = [_found(folder, f"{prefix}-labels-idx1-ubyte") for name, prefix in PREFIX.items() if name != split]
    return images[:, None], *numbered(labels, [labels, *(read_idx(path, 1) for path in others if path is not None)])


def _idx_file(folder: Path, name: str) -> Path:
    found = _found(folder, name)
    if found is None:
        raise problem(
            f"{name} or {name}.gz in {folder}",
            "neither",
            "put MNIST's four files there: train- and t10k-, images-idx3-ubyte and labels-idx1-ubyte",
        )
    return found


def _found(folder: Path, name: str) -> Path | None:
    """The plain file if it exists, else the gzipped one; the last dash may be a dot, as some archives unpack it."""
    candidates = [folder / (stem + end) for stem in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")]
    return next((path for path in candidates if path.is_file()), None)


def has_idx_files(folder: Path) -> bool:
    """Whether the folder holds a file of MNIST's names."""
    return any(folder.glob("*-idx[13]-ubyte*")) or any(folder.glob("*.idx[13]-ubyte*"))
