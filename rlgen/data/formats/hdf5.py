"""Opening HDF5 files: h5py on demand, and an error that says what is wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.errors import problem


def is_hdf5(path: Path) -> bool:
    """Whether the file begins like HDF5; a cut one still does."""
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def hdf5_keys(path: Path) -> set[str]:
    """Names at the top of the file."""
    with open_hdf5(path) as file:
        return set(file.keys())


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """The open h5py.File.

    Raises:
        InputError: h5py is missing, or the file is cut or damaged, also where this shows only while reading.
    """
    try:
        import h5py
    except ImportError as error:
        raise problem("the package h5py, which reads HDF5", "a Python without it", "pip install h5py") from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise problem(
            "a complete HDF5 file", f"{path}, cut or damaged ({error})", "copy or download it again"
        ) from error


def dataset(group: Any, key: str, path: Path) -> np.ndarray:
    """The numbers under `key` of an HDF5 group.

    Raises:
        InputError: the key is missing or is not an array (dictionary observations, for instance).
    """
    where = f"{path}{'' if group.name == '/' else f', group {group.name}'}"
    if key not in group:
        raise problem(f"the key {key!r}", f"{', '.join(sorted(group.keys()))} in {where}", "write the file again")
    if not hasattr(group[key], "shape"):
        raise problem(
            f"one array under {key!r}",
            f"a group of {', '.join(sorted(group[key].keys()))} in {where}",
            "flatten dictionary observations (gymnasium.wrappers.FlattenObservation) and record again",
        )
    return group[key][()]
