"""Images in MNIST's files, plain and gzipped: loaded as `rlgen train image --data FOLDER` loads them."""

import gzip
import struct
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator

from rlgen.data import ImageSet

from .byte_damage import damaged_bytes, damaged_file
from .subject import Subject

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


def _damage(rng: Generator, folder: Path) -> str:
    files = sorted(folder.glob("train-*"))
    return damaged_file(rng, files[int(rng.integers(len(files)))], damaged_idx)


def _load(folder: Path) -> None:
    for split in ("train", "test"):
        ImageSet.load(folder, split).floats()


def _subject(name: str, packed: bool) -> Subject:
    return Subject(name=name, example=name, build=partial(write_idx, packed=packed), damage=_damage, use=_load)


IMAGE_FILES = (_subject("idx", packed=False), _subject("idx-gz", packed=True))
