"""Damage to HDF5 files: what stands under a key becomes another thing that HDF5 can hold."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.random import Generator

from .array_damage import HUGE, damaged_array
from .byte_damage import damaged_bytes
from .json_damage import damaged_json

SECRET = "secret.bin"
"""A file beside the folder in use that an external storage or link points at."""


def damage_hdf5(rng: Generator, path: Path) -> str:
    """Damages the file in place."""
    if rng.random() < 0.3:
        damaged, how = damaged_bytes(rng, path.read_bytes())
        path.write_bytes(damaged)
        return how
    with h5py.File(path, "r+") as file:
        keys: list[str] = []
        file.visit(keys.append)
        key = keys[int(rng.integers(len(keys)))]
        if file[key].attrs and rng.random() < 0.3:
            return f"{key}: {_attribute(rng, file[key])}"
        if isinstance(file[key], h5py.Group) or rng.random() < 0.15:
            return _linked(rng, file, key)
        return _stored(rng, file, key)


def _stored(rng: Generator, file: h5py.File, key: str) -> str:
    """Another data set under the same key."""
    array = file[key][()]
    del file[key]
    kind = rng.choice(
        ["array"] * 8
        + [
            "null",
            "strings",
            "pieces",
            "references",
            "enum",
            "huge",
            "unwritten",
            "external",
            "virtual",
            "group",
            "pack",
        ]
    )
    if kind == "array":
        changed, how = damaged_array(rng, np.asarray(array))
        file[key] = _writable(changed)
        return f"{key}: {how}"
    _odd_set(file, key, kind, np.asarray(array))
    return f"{key}: {kind}"


def _odd_set(file: h5py.File, key: str, kind: str, array: np.ndarray) -> None:
    """A data set of a kind that has no counterpart in NumPy."""
    rows = len(array) if array.ndim else 1
    if kind == "null":
        file[key] = h5py.Empty("f4")
    elif kind == "strings":
        file.create_dataset(key, data=["x"] * rows, dtype=h5py.string_dtype())
    elif kind == "pieces":
        file.create_dataset(key, (rows,), dtype=h5py.vlen_dtype("f4"))
    elif kind == "references":
        file.create_dataset(key, data=[file.ref] * rows, dtype=h5py.ref_dtype)
    elif kind == "enum":
        file.create_dataset(key, (rows,), dtype=h5py.enum_dtype({"A": 0, "B": 1}, basetype="i1"))
    elif kind == "huge":
        file.create_dataset(key, HUGE, dtype="f4")
    elif kind == "unwritten":
        file.create_dataset(key, (2**29, *array.shape[1:]), dtype="f4", chunks=True)
    elif kind == "external":
        secret = Path(file.filename).parents[1] / SECRET
        file.create_dataset(key, array.shape, "u1", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    elif kind == "virtual":
        layout = h5py.VirtualLayout(array.shape, "f4")
        layout[...] = h5py.VirtualSource("elsewhere.hdf5", "x", array.shape)
        file.create_virtual_dataset(key, layout)
    elif kind == "group":
        file.create_group(f"{key}/observation")
    elif kind == "pack":
        file.create_dataset(key, data=array.reshape(-1), compression="gzip", shuffle=True, fletcher32=True)


def _linked(rng: Generator, file: h5py.File, key: str) -> str:
    """A link, or nothing, or the same thing under another name."""
    kind = rng.choice(["dropped", "soft", "loop", "external", "renamed", "twice", "bytes", "committed"])
    parent, _, name = key.rpartition("/")
    if kind == "renamed":
        file.move(key, f"{parent}/{name[:-1]}{int(rng.integers(20, 99))}")
        return f"{key}: {kind}"
    if kind == "twice":
        file[f"{parent}/{name}0"] = file[key]
        return f"{key}: {kind}"
    del file[key]
    if kind == "soft":
        file[key] = h5py.SoftLink("/nowhere")
    elif kind == "loop":
        file[key] = h5py.SoftLink("/" if rng.random() < 0.5 else f"/{key}")
    elif kind == "external":
        file[key] = h5py.ExternalLink(str(Path(file.filename).parents[1] / SECRET), "/x")
    elif kind == "bytes":
        file[key.encode() + b"\xff"] = np.zeros(3)
    elif kind == "committed":
        file[key] = np.dtype("f8")
    return f"{key}: {kind}"


def _attribute(rng: Generator, thing: Any) -> str:
    name = sorted(thing.attrs)[int(rng.integers(len(thing.attrs)))]
    old = thing.attrs[name]
    del thing.attrs[name]
    if isinstance(old, str) and old.startswith("{") and rng.random() < 0.5:
        changed, how = damaged_json(rng, old.encode())
        thing.attrs[name] = changed.decode("utf-8", "replace").replace("\0", "")[:20_000]
        return f"attribute {name}: {how}"
    values: tuple[Any, ...] = (3, np.nan, h5py.Empty("f4"), b"\xff", "x", np.zeros((2, 2)), [b"a", b"b"], None)
    value = values[int(rng.integers(len(values)))]
    if value is not None:
        thing.attrs[name] = value
    return f"attribute {name}: {value!r}"


def _writable(array: np.ndarray) -> np.ndarray:
    """Dates and durations as the numbers that HDF5 has for them, texts as bytes."""
    if array.dtype.kind == "U":
        return np.char.encode(array, "utf-8")
    return array.astype("i8") if array.dtype.kind in "mM" else array
