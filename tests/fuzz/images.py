"""Images in MNIST's files, plain and gzipped, in CIFAR's and in NumPy's: loaded as `rlgen train image --data FOLDER`
loads them."""

import gzip
import io
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator

from rlgen.data import ImageSet

from .array_damage import damaged_npy
from .byte_damage import damaged_bytes, damaged_file
from .subject import Subject

Change = Callable[[Generator, bytes], tuple[bytes, str]]
SIZES = (0, 1, 2, 255, 2**16, 2**31 - 1, 2**32 - 1)
IMAGES, SIDE = 6, 8


def write_idx(folder: Path, packed: bool = False) -> None:
    """MNIST's four files with a few small images of two classes."""
    rng = np.random.default_rng(0)
    for stem in ("train", "t10k"):
        images = rng.integers(0, 256, (IMAGES, SIDE, SIDE), np.uint8).tobytes()
        files = {
            f"{stem}-images-idx3-ubyte": struct.pack(">4B3I", 0, 0, 8, 3, IMAGES, SIDE, SIDE) + images,
            f"{stem}-labels-idx1-ubyte": struct.pack(">4BI", 0, 0, 8, 1, IMAGES) + bytes([0, 1] * (IMAGES // 2)),
        }
        for name, data in files.items():
            end, content = (".gz", gzip.compress(data, mtime=0)) if packed else ("", data)
            (folder / f"{name}{end}").write_bytes(content)


def damaged_idx(rng: Generator, data: bytes) -> tuple[bytes, str]:
    """The bytes of an IDX file, packed or not, with one damage, and what it is."""
    kind = rng.choice(["bytes", "size", "size", "content", "bomb"])
    if kind == "bytes":
        return damaged_bytes(rng, data)
    packed = data[:2] == b"\x1f\x8b"
    plain = bytearray(gzip.decompress(data) if packed else data)
    if kind == "size":
        place, size = 4 * int(rng.integers(1, 1 + plain[3])), int(rng.choice(SIZES))
        plain[place : place + 4] = size.to_bytes(4, "big")
        how = f"size {size} at {place}"
    elif kind == "bomb":
        plain[4:8] = (2**24).to_bytes(4, "big")
        member = gzip.compress(bytes(2**20), mtime=0)
        return gzip.compress(bytes(plain[:16]), mtime=0) + member * 1280, "1.25 GiB of zeros in members of gzip"
    else:
        plain[:], how = damaged_bytes(rng, bytes(plain))
    return (gzip.compress(bytes(plain), mtime=0) if packed else bytes(plain)), how


def write_cifar(folder: Path) -> None:
    """CIFAR's binary files with two batches."""
    rng = np.random.default_rng(0)
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        rows = rng.integers(0, 10, (2, 3073), np.uint8)
        (folder / f"{name}.bin").write_bytes(rows.tobytes())


def write_arrays(folder: Path) -> None:
    """Images and labels of both splits as .npy files."""
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        np.save(folder / f"{split}_images.npy", rng.integers(0, 256, (IMAGES, SIDE, SIDE, 3), np.uint8))
        np.save(folder / f"{split}_labels.npy", np.array([0, 1] * (IMAGES // 2)))


def damaged_array_file(rng: Generator, data: bytes) -> tuple[bytes, str]:
    """The bytes of an .npy file with one damage, and what it is."""
    if rng.random() < 0.5:
        return damaged_bytes(rng, data)
    return damaged_npy(rng, np.load(io.BytesIO(data), allow_pickle=False))


def _damage(rng: Generator, folder: Path, pattern: str, change: Change) -> str:
    files = sorted(folder.glob(pattern))
    return damaged_file(rng, files[int(rng.integers(len(files)))], change)


def _load(folder: Path) -> None:
    for split in ("train", "test"):
        ImageSet.load(folder, split).floats()


def _subject(name: str, build: Callable[[Path], None], pattern: str, change: Change) -> Subject:
    return Subject(
        name=name, example=name, build=build, damage=partial(_damage, pattern=pattern, change=change), use=_load
    )


IMAGE_FILES = (
    _subject("idx", write_idx, "train-*", damaged_idx),
    _subject("idx-gz", partial(write_idx, packed=True), "train-*", damaged_idx),
    _subject("cifar", write_cifar, "*.bin", damaged_bytes),
    _subject("image-arrays", write_arrays, "train_*", damaged_array_file),
)
