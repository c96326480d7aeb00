"""Opens untrusted HDF5 files: imports h5py on demand, reads nothing outside the file, bounds the memory, and raises
errors that name the fault."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data.columns import reading, text
from rlgen.data.formats.npz import bytes_in_memory
from rlgen.errors import problem
from rlgen.system.memory import require_room


def is_hdf5(path: Path) -> bool:
    """Whether the file starts like HDF5, even if it is truncated."""
    with path.open("rb") as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


@contextmanager
def open_hdf5(path: Path) -> Iterator["HDF5"]:
    """The open file.

    Raises:
        InputError: h5py is missing, or the file is cut or damaged.
    """
    try:
        import h5py
    except ImportError as error:
        raise problem("the package h5py, which reads HDF5", "a Python without it", "pip install h5py") from error
    with reading("HDF5 file", path):
        file = h5py.File(path, "r")
    try:
        yield HDF5(file, path)
    finally:
        file.close()


class HDF5:
    """An open HDF5 file. Keys are paths in it, e.g. "episode_0/actions"; links to other places are not followed."""

    def __init__(self, file: Any, path: Path) -> None:
        self._file, self.path = file, path
        self._declared = 0

    def names(self, group: str = "/") -> set[str]:
        """Names in a group; empty if there is no such group."""
        with self._reading():
            found = self._find(group)
            names = found.keys() if hasattr(found, "keys") else ()
            return {name if isinstance(name, str) else name.decode(errors="replace") for name in names}

    def numbers(self, key: str) -> np.ndarray:
        """The array under `key`.

        Raises:
            InputError: a missing key, a group (dictionary observations, for instance), values that are not numbers,
                storage outside the file, more data than fits in memory.
        """
        group, _, name = key.rpartition("/")
        where = f"{self.path}{f', group /{group}' if group else ''}"
        with self._reading():
            found = self._find(key)
            if found is None:
                names = ", ".join(sorted(self.names(group or "/"))[:30]) or "nothing"
                raise problem(f"the key {name!r}", f"{names} in {where}", "write the file again")
            if hasattr(found, "keys"):
                raise problem(
                    f"one array under {name!r}",
                    f"a group of {', '.join(sorted(self.names(key))[:30])} in {where}",
                    "use rlgen's .npz, Minari or D4RL's layout of HDF5, which hold dictionaries of arrays",
                )
            self._require_plain(found, name, where)
            return found[()]

    def tree(self, key: str) -> Any:
        """The array under `key`, or a dictionary of the arrays in the group of that name, without `texts`. Raises as
        `numbers`."""
        with self._reading():
            is_group = hasattr(self._find(key), "keys")
        if not is_group:
            return self.numbers(key)
        return {name: self.numbers(f"{key}/{name}") for name in sorted(self.names(key) - self.texts(key))}

    def texts(self, group: str) -> set[str]:
        """Names of the texts in a group."""
        import h5py

        with self._reading():
            found = {name: self._find(f"{group}/{name}") for name in self.names(group)}
            return {name for name, each in found.items() if h5py.check_string_dtype(getattr(each, "dtype", None))}

    def attribute(self, name: str, group: str = "/") -> str | None:
        """The text of an attribute; None if it is missing."""
        with self._reading():
            found = self._find(group)
            return text(self._attribute(found, name), name, str(self.path)) if found and name in found.attrs else None

    def number_attribute(self, name: str, group: str = "/") -> int | None:
        """The integer of an attribute; None if it is missing."""
        with self._reading():
            found = self._find(group)
            return int(self._attribute(found, name)) if found and name in found.attrs else None

    def _attribute(self, found: Any, name: str) -> Any:
        """A single value, with a bound on its size: in a damaged file a size may take ages to read."""
        declared = found.attrs.get_id(name)
        if declared.shape != ():
            got = f"values of shape {list(declared.shape)} in {self.path}"
            raise problem(f"one value as the attribute {name!r}", got, "write the file again")
        require_room(declared.get_storage_size(), f"the attribute {name!r} of {self.path}", self.path.stat().st_size)
        return found.attrs[name]

    def _find(self, key: str) -> Any:
        """The object under `key`, reached only through names in this file; None if there is none."""
        import h5py

        found = self._file
        for name in key.strip("/").split("/") if key.strip("/") else ():
            link = found.get(name, getlink=True) if hasattr(found, "keys") else None
            if isinstance(link, h5py.SoftLink | h5py.ExternalLink):
                raise problem(
                    f"data of its own under {name!r}",
                    f"a link to another place ({link.path}) in {self.path}, which is not followed",
                    "copy the data itself into the file (h5py's Group.copy with expand_external and expand_soft)",
                )
            if link is None:
                return None
            found = found[name]
        return found

    def _require_plain(self, found: Any, name: str, where: str) -> None:
        """Requires numbers that are stored in this file and fit in memory."""
        if found.is_virtual or found.external:
            raise problem(
                f"data of its own under {name!r}",
                f"data stored in another file ({'virtual' if found.is_virtual else 'external'} storage) in {where}, "
                "which is not opened",
                "copy the data itself into the file",
            )
        if found.shape is None or found.dtype.kind not in "fiub":
            got = "an empty data set" if found.shape is None else f"values of type {found.dtype}"
            raise problem(f"numbers under {name!r}", f"{got} in {where}", "write that key again as plain numbers")
        chunk = math.prod(found.chunks or (0,))
        self._declared += max(found.size, chunk) * bytes_in_memory(found.shape, found.dtype)
        require_room(self._declared, f"the arrays of {self.path}", self.path.stat().st_size)

    def _reading(self) -> Any:
        return reading("HDF5 file", self.path)
