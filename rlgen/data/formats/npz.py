"""Opening .npz files that strangers wrote: no pickle, and an error that says what is wrong."""

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from rlgen.errors import InputError, problem

DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError)


def is_zip(path: Path) -> bool:
    """Whether the file begins like a zip archive, which every .npz is; a cut one still does."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def npz_keys(path: Path) -> set[str]:
    """Names of the arrays in the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except DAMAGE as error:
        raise _damaged(path, "its table of contents", error) from error


def read_npz(path: Path, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """The named arrays, and those of the optional ones that are there. Arrays that are not named are not touched.

    Raises:
        InputError: a missing key, a file that is cut or damaged, an array of pickled objects.
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
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: _array(file, key, path) for key in wanted}
    except InputError:
        raise
    except DAMAGE as error:
        raise _damaged(path, "its table of contents", error) from error


def _array(file: np.lib.npyio.NpzFile, key: str, path: Path) -> np.ndarray:
    try:
        return file[key]
    except DAMAGE as error:
        if "allow_pickle" in str(error):
            raise problem(
                f"plain numbers under {key!r}",
                f"pickled objects in {path}, which are never opened because they can run any code",
                f"write {key!r} as an array of numbers",
            ) from error
        raise _damaged(path, f"key {key!r}", error) from error


def _damaged(path: Path, where: str, error: Exception) -> InputError:
    return problem(
        "a complete .npz file", f"{path}, cut or damaged at {where} ({error})", "copy, download or record it again"
    )
