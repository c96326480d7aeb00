"""Arrays as a reader does not expect them: another dtype, another shape, other numbers, no numbers at all."""

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator

from .canary import ENV_ID, Payload

DTYPES = ("?", "i1", "u1", "i8", "u8", ">i4", "f2", "f8", ">f4", "c8", "S3", "U3", "M8[s]", "m8[s]", "V4", "longdouble")
NUMBERS = (np.nan, np.inf, -np.inf, 1e300, -1.0, 0.0, 0.5, 2.0**31, 2.0**32 + 1, 2.0**63, -(2.0**63))
HUGE = (10**12, 4)


def damaged_array(rng: Generator, array: np.ndarray) -> tuple[np.ndarray, str]:
    """An array in place of `array`, and what is odd about it; never one of objects."""
    kind = rng.choice(["dtype", "dtype", "shape", "shape", "number", "number", "rows", "text", "structured", "empty"])
    change = {
        "dtype": _dtype,
        "shape": _shape,
        "number": _number,
        "rows": _rows,
        "text": _text,
        "structured": _structured,
        "empty": _empty,
    }[kind]
    with np.errstate(all="ignore"):
        changed, how = change(rng, array)
    return changed, f"{how} (was {array.dtype}{list(array.shape)})"


def damaged_npy(rng: Generator, array: np.ndarray) -> tuple[bytes, str]:
    """The bytes of an .npy in place of that of `array`, among them ones that no array has."""
    kind = rng.choice(["array"] * 8 + ["huge", "header", "pickle", "objects", "bytes"])
    if kind == "array":
        changed, how = damaged_array(rng, array)
        return npy(changed), how
    if kind == "huge":
        return header_of(array.dtype.str, HUGE) + array.tobytes(), f"a header of shape {HUGE}"
    if kind == "pickle":
        return pickle.dumps(Payload()), "a pickle"
    if kind == "objects":
        return header_of("|O", array.shape) + pickle.dumps([Payload()]), "an array of objects"
    if kind == "bytes":
        return b"text", "no .npy"
    text = str(rng.choice([*BROKEN_HEADERS]))
    return _magic(text), f"the header {text[:60]!r}"


BROKEN_HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 4), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': 4, }",
    "{'descr': '<f4', 'fortran_order': 3, 'shape': (4, ",
    "{'descr': [('a', '<f4'), ('a', '<f4')], 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (4,), }",
    "__import__('fuzz_canary')",
    "[" * 5000,
    "None",
    "\\",
)


def npy(array: np.ndarray) -> bytes:
    """The array as the bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def header_of(descr: Any, shape: tuple[int, ...]) -> bytes:
    """What stands before the numbers of an .npy."""
    return _magic(repr({"descr": descr, "fortran_order": False, "shape": shape}))


def _magic(text: str) -> bytes:
    padded = text.encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


def _dtype(rng: Generator, array: np.ndarray) -> tuple[np.ndarray, str]:
    name = str(rng.choice(DTYPES))
    plain = array if array.dtype.kind in "biuf" else np.zeros(array.shape)
    try:
        changed = plain.astype(name)
    except (TypeError, ValueError):
        changed = np.zeros(array.shape, name)
    return changed, f"dtype {changed.dtype}"


def _shape(rng: Generator, array: np.ndarray) -> tuple[np.ndarray, str]:
    makers: tuple[Callable[[], np.ndarray], ...] = (
        lambda: array.reshape(-1)[:1].reshape(()) if array.size else np.zeros((), array.dtype),
        lambda: array[..., None],
        lambda: array[None],
        lambda: array.reshape(-1),
        lambda: array.T,
        lambda: np.stack([array, array], -1),
        lambda: array.reshape(*array.shape, *([1] * 29))[:1],
        lambda: array[..., :1] if array.ndim > 1 else array[:1],
    )
    try:
        changed = makers[int(rng.integers(len(makers)))]()
    except (IndexError, ValueError):
        changed = array[None]
    return changed, f"shape {list(changed.shape)}"


def _number(rng: Generator, array: np.ndarray) -> tuple[np.ndarray, str]:
    if array.size == 0:
        return _empty(rng, array)
    number = float(rng.choice(NUMBERS))
    changed = array.astype("f8") if array.dtype.kind not in "fUS" and rng.random() < 0.5 else array.copy()
    place = int(rng.integers(array.size))
    where = slice(None) if rng.random() < 0.3 else slice(place, place + 1)
    changed.reshape(-1)[where] = str(number) if changed.dtype.kind in "US" else np.float64(number).astype(changed.dtype)
    return changed, f"{number:g} at {'every place' if where.start is None else place}, {changed.dtype}"


def _rows(rng: Generator, array: np.ndarray) -> tuple[np.ndarray, str]:
    if array.ndim == 0 or len(array) == 0:
        return _empty(rng, array)
    changed = [array[:-1], np.concatenate([array, array]), array[::-1], np.concatenate([array[:1], array])]
    choice = int(rng.integers(len(changed)))
    return changed[choice], ("a row too few", "all rows twice", "rows backwards", "the first row twice")[choice]


def _text(rng: Generator, array: np.ndarray) -> tuple[np.ndarray, str]:
    text = str(rng.choice(["x", "", "3", "False", "nan", "é", "[]", "null", "3", "[" * 20_000, ENV_ID, "../x"]))
    changed = np.full(() if rng.random() < 0.5 else array.shape, text)
    return changed, f"the text {text[:40]!r} of shape {list(changed.shape)}"


def _structured(rng: Generator, array: np.ndarray) -> tuple[np.ndarray, str]:
    dtype = np.dtype([("a", "f4"), ("b", "i4", (2,))] if rng.random() < 0.5 else [("r", "u1"), ("g", "S2")])
    return np.zeros(array.shape, dtype), f"structured dtype {dtype}"


def _empty(rng: Generator, array: np.ndarray) -> tuple[np.ndarray, str]:
    shape = ((0,), (0, *array.shape[1:]), (len(array) if array.ndim else 1, 0))[int(rng.integers(3))]
    return np.zeros(shape, array.dtype), f"empty, of shape {list(shape)}"
