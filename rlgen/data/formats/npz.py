"""NumPy archives, read without unpickling, and JSON objects."""

import json
import math
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from rlgen.data.columns import reading
from rlgen.errors import problem
from rlgen.system.memory import require_room


def json_object(content: str | bytes, what: str, path: Path) -> dict[str, Any]:
    """The JSON object in `content`.

    Raises:
        InputError: invalid JSON, or another type; the message names `what` of `path`.
    """
    with reading(f"JSON object under {what!r}", path):
        found = json.loads(content)
    if not isinstance(found, dict):
        raise problem(f"a JSON object as {what!r}", f"{type(found).__name__} in {path}", "write the file again")
    return found


def json_file(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty if there is no file."""
    if not path.is_file():
        return {}
    with reading("JSON file", path):
        content = path.read_bytes()
    return json_object(content, path.name, path)


PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""NumPy's compression methods. The others can unpack to any size at once."""


def is_zip(path: Path) -> bool:
    """Whether the file starts like a zip archive, as every .npz does, even if it is truncated."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def npz_keys(path: Path) -> set[str]:
    """Names of the arrays in the file."""
    with reading(".npz file", path), zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def read_npz(path: Path, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """The required arrays, and the optional ones that exist. Other arrays are not read.

    Raises:
        InputError: a missing key, a file that is cut or damaged, an array of pickled objects, more data than fits in
            memory.
    """
    present, required = npz_keys(path), sorted(required)
    missing = [key for key in required if key not in present]
    if missing:
        raise problem(
            f"the keys {', '.join(required)}",
            f"{path} without {', '.join(missing)}",
            "write the file again with all of them, or name its format",
        )
    wanted = [*required, *(key for key in optional if key in present)]
    with reading(".npz file", path), zipfile.ZipFile(path) as archive:
        members = {key: _member(archive, key, path) for key in wanted}
        declared = 0
        for key, member in members.items():
            declared += _declared(archive, member, key, path)
            require_room(declared, f"the arrays of {path}", path.stat().st_size)
        return {key: _array(archive, member, key, path) for key, member in members.items()}


def _member(archive: zipfile.ZipFile, key: str, path: Path) -> zipfile.ZipInfo:
    names = archive.namelist()
    found = archive.getinfo(key if key in names and f"{key}.npy" not in names else f"{key}.npy")
    if found.compress_type not in PACKED:
        raise problem(
            "arrays packed as NumPy packs them (stored or deflated)",
            f"{key!r} packed otherwise in {path}",
            "write the file with numpy.savez or savez_compressed",
        )
    return found


def _declared(archive: zipfile.ZipFile, member: zipfile.ZipInfo, key: str, path: Path) -> int:
    """Bytes that the array under `key` takes in memory, from its header alone."""
    with reading(".npz file", path, f"key {key!r}"), archive.open(member) as file:
        shape, dtype = _header(file)
    if dtype.hasobject:
        raise problem(
            f"plain numbers under {key!r}",
            f"pickled objects in {path}, which are never opened because they can run any code",
            f"write {key!r} as an array of numbers",
        )
    return math.prod(shape) * bytes_in_memory(shape, dtype)


def bytes_in_memory(shape: Sequence[int], dtype: np.dtype) -> int:
    """Bytes per number of a column: 1 for images, at least 4 for what becomes float32."""
    return 1 if dtype == np.uint8 and len(shape) > 3 else max(dtype.itemsize, 4)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"a header of version {version}")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"shape {shape}")
    return shape, dtype


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, key: str, path: Path) -> np.ndarray:
    with reading(".npz file", path, f"key {key!r}"), archive.open(member) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        file.read(1)  # to the end, where the checksum is compared
        return array
