"""Checked columns of numbers, flags and texts, and a guard for parsers of damaged files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rlgen.errors import InputError, problem


@contextmanager
def reading(
    what: str, path: Path, place: str = "", remedy: str = "copy, download or record it again"
) -> Iterator[None]:
    """Context manager around the code that parses a file that may be damaged, and around nothing else.

    Parsers raise anything there: KeyError and RuntimeError (HDF5), LZMAError and TokenError (NumPy's zip and headers),
    RecursionError and UnicodeDecodeError (JSON), MemoryError …

    Args:
        what: what the file should be, e.g. "HDF5 file".
        path: the file, for the message.
        place: where in it, e.g. "key 'actions'".

    Raises:
        InputError: in place of any error raised inside.
    """
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise problem(f"a complete {what}", f"no file {error.filename or path}", "check the path") from error
    except PermissionError as error:
        raise problem(f"a {what} that may be read", f"{path} ({error.strerror})", "change its permissions") from error
    except Exception as error:
        first_line = (str(error).splitlines() or [""])[0][:200]
        said = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
        raise problem(
            f"a complete {what}", f"{path}, cut or damaged{f' at {place}' if place else ''} ({said})", remedy
        ) from error


Kind = Literal["number", "count", "flag"]

MOST = 2**31 - 1
"""Largest count: counts are int32."""

SAID = {
    "number": "real numbers",
    "count": f"whole numbers from 0 to {MOST}",
    "flag": "true or false (bool, or 0 and 1)",
}


def column(values: Any, kind: Kind, ndim: Literal[0, 1], key: str, source: str) -> np.ndarray:
    """`values` as an array of one kind: one value (`ndim` 0) or a vector [R] (`ndim` 1; [R, 1] becomes [R]).

    Nothing is rounded, wrapped or guessed: "False" is not a flag, 0.9 and 2**32 are not counts, a date is not a number.

    Args:
        values: an array, or anything that `np.asarray` turns into one.
        kind: "number" (real: bool, integer or float, NaN and infinity included) keeps its type up to float64, "count"
            becomes int32, "flag" becomes bool.
        key: name of the column, for error messages.
        source: origin of the column, for error messages.

    Raises:
        InputError: texts, dates, complex, structured or pickled values, a wrong shape, or values that are not of this
            kind; the message names key and source.
    """
    array = numbers(values, kind, key, source)
    if ndim == 1 and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != ndim:
        shape = "one value" if ndim == 0 else "a vector, one value each"
        raise problem(f"{shape} under {key!r}", f"shape {list(array.shape)} in {source}", "write that key again")
    if kind == "number":
        return array
    fits = ((array == 0) | (array == 1)) if kind == "flag" else _whole(array)
    if not fits.all():
        odd = array[np.unravel_index(int(np.argmin(fits)), fits.shape)]
        raise problem(f"{SAID[kind]} under {key!r}", f"{odd} in {source}", "write that key again")
    return array.astype(np.bool_ if kind == "flag" else np.int32, copy=False)


def matrix(values: Any, key: str, source: str) -> np.ndarray:
    """`values` as [rows, numbers] of real numbers: a vector becomes one column, and an array of more dimensions is
    flattened row by row, as by gymnasium.wrappers.FlattenObservation.

    Raises:
        InputError: if the values are not numeric, or only one value.
    """
    array = numbers(values, "number", key, source)
    if array.ndim == 0:
        raise problem(f"one vector per time step under {key!r}", f"a single value in {source}", "write that key again")
    if array.ndim == 2:
        return array
    return array.reshape(len(array), int(np.prod(array.shape[1:], dtype=np.int64)))


def numbers(values: Any, kind: Kind, key: str, source: str) -> np.ndarray:
    """`values` as an array of a numeric type, of any shape. Raises as `column`."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:  # ragged lists, tensors on a device
        raise problem(
            f"{SAID[kind]} under {key!r}", f"{type(values).__name__} ({error}) in {source}", "give a NumPy array"
        ) from error
    if array.dtype.kind not in "fiub":
        raise problem(
            f"{SAID[kind]} under {key!r}",
            f"values of type {array.dtype} and shape {list(array.shape)} in {source}",
            "write that key again as plain numbers",
        )
    return array.astype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize > 8 else array


def text(values: Any, key: str, source: str) -> str:
    """One text: a str, UTF-8 bytes, or an array that holds one.

    Raises:
        InputError: anything else.
    """
    value = values.item() if isinstance(values, np.ndarray | np.generic) and np.size(values) == 1 else values
    try:
        value = value.decode() if isinstance(value, bytes) else value
        if isinstance(value, str):
            value.encode().decode()  # NumPy returns code points beyond Unicode's last, which only fail here
    except (UnicodeError, SystemError):
        value = None
    if not isinstance(value, str):
        got = f"{type(values).__name__} {getattr(values, 'dtype', '')!s}".strip()
        raise problem(f"a text under {key!r}", f"{got} in {source}", "write that key again")
    return value


def _whole(array: np.ndarray) -> np.ndarray:
    """Which values are counts; bools are not."""
    if array.dtype.kind == "b":
        return np.zeros(array.shape, bool)
    with np.errstate(invalid="ignore"):
        return (array >= 0) & (array <= MOST) & (array == np.floor(array))
