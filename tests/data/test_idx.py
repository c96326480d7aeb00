"""IDX files: what is in them, and an error for everything that is not one."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from rlgen.data.idx import read_idx
from rlgen.errors import InputError

# Written by hand: two images of 2 × 3.
IMAGES = bytes.fromhex("00000803 00000002 00000002 00000003 000102030405 fffefdfcfbfa")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "images"


def test_bytes_come_out_in_the_order_of_the_header(path: Path) -> None:
    path.write_bytes(IMAGES)
    found = read_idx(path, 3)
    assert found.dtype == np.uint8
    assert found.tolist() == [[[0, 1, 2], [3, 4, 5]], [[255, 254, 253], [252, 251, 250]]]


def test_a_gzipped_file_is_known_by_its_content_and_not_by_its_name(path: Path) -> None:
    path.write_bytes(gzip.compress(IMAGES))
    assert read_idx(path, 3).tobytes() == IMAGES[16:]


def test_more_than_one_piece_is_read(path: Path) -> None:
    content = np.random.default_rng(0).integers(256, size=(1 << 24) + 5, dtype=np.uint8)
    path.write_bytes(struct.pack(">II", 0x801, len(content)) + content.tobytes())
    assert np.array_equal(read_idx(path, 1), content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "begins with nothing"),
        (b"<html>404</html>", "begins with 3c 68 74 6d"),
        (IMAGES[:10], "ends within its header"),
        (IMAGES[:-1], "holds 11 bytes where its header says 2 × 2 × 3 = 12"),
        (IMAGES + b"\0", "holds more bytes"),
        (gzip.compress(IMAGES)[:-9], "cannot be read"),
        (gzip.compress(IMAGES)[:-6] + b"\1\2\3\4\5\6", "cannot be read"),
        (struct.pack(">4I", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1), "holds 0 bytes"),
        (IMAGES.replace(b"\x08\x03", b"\x0d\x03", 1), "floats in 3"),
        (IMAGES.replace(b"\x08\x03", b"\x08\x01", 1), "unsigned bytes in 1"),
        (b"\x80\x04\x95", "begins with 80 04 95"),
    ],
    ids=[
        "empty",
        "a page",
        "cut header",
        "cut",
        "too long",
        "cut gzip",
        "bad gzip",
        "huge",
        "floats",
        "labels",
        "pickle",
    ],
)
def test_a_file_that_is_cut_or_foreign_is_refused(path: Path, content: bytes, said: str) -> None:
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match="got nothing"):
        read_idx(path, 3)
