"""Exact conversion of a nested state to JSON and tensors, and back, without pickle, so that a checkpoint cannot run
code.

JSON values are unchanged. Values that JSON does not have are objects with the single key `$`:

    {"$": "tensor", "name": …}                 torch tensor, stored under that name
    {"$": "array", "name": …, "dtype": …}      NumPy array; with "shape" when it is stored as raw bytes
    {"$": "scalar", "name": …, "dtype": …}     NumPy scalar (np.float32(1) is not 1.0)
    {"$": "float", "value": "nan"}             NaN and infinities
    {"$": "dict", "items": [[key, value], …]}  dicts with keys other than text (optimizers count their parameters)
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlgen.errors import problem

# NumPy types that torch has too, in this machine's byte order; others are stored as raw bytes.
_NATIVE = {np.dtype(name) for name in ("bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")}


def encode(tree: Any) -> tuple[Any, dict[str, Tensor]]:
    """Split `tree` into strict JSON and named CPU tensors. Tuples become lists.

    Leaves: torch tensors, NumPy arrays and scalars, None, bool, int (any size), float, str. Raises `InputError`, with
    the place in the tree, for anything else.
    """
    tensors: dict[str, Tensor] = {}
    return _encode(tree, "", tensors), tensors


def decode(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """The inverse of `encode`; tensors come back on the CPU."""
    if isinstance(tree, list):
        return [decode(item, tensors) for item in tree]
    if not isinstance(tree, dict):
        return tree
    kind = tree.get("$")
    if kind is None:
        return {key: decode(item, tensors) for key, item in tree.items()}
    if kind == "dict":
        return {decode(key, tensors): decode(item, tensors) for key, item in tree["items"]}
    if kind == "float":
        return float(tree["value"])
    if kind == "tensor":
        return tensors[tree["name"]]
    array = _to_array(tensors[tree["name"]], tree)
    return array[()] if kind == "scalar" else array


def _encode(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        return {"$": "tensor", "name": _store(_detached(value), place, tensors)}
    if isinstance(value, np.ndarray | np.generic):
        return _encode_array(value, place, tensors)
    if isinstance(value, dict):
        return _encode_dict(value, place, tensors)
    if isinstance(value, list | tuple):
        return [_encode(item, f"{place}/{index}", tensors) for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$": "float", "value": repr(float(value))}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise problem(
        "tensors, arrays, numbers, text, lists and dicts in a checkpoint",
        f"a {type(value).__name__} at {place or 'the top'}",
        "put its contents into the state instead",
    )


def _encode_dict(value: dict[Any, Any], place: str, tensors: dict[str, Tensor]) -> Any:
    if all(type(key) is str for key in value) and "$" not in value:
        return {key: _encode(item, f"{place}/{key}", tensors) for key, item in value.items()}
    items = []
    for key, item in value.items():
        if not (key is None or isinstance(key, bool | int | float | str)):
            raise problem("text or numbers as keys", f"a {type(key).__name__} key at {place}", "use text keys")
        items.append([_encode(key, place, tensors), _encode(item, f"{place}/{key}", tensors)])
    return {"$": "dict", "items": items}


def _encode_array(value: np.ndarray | np.generic, place: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise problem("arrays of numbers or text", f"an array of objects at {place}", "convert it to numbers first")
    kind = "array" if isinstance(value, np.ndarray) else "scalar"
    if array.dtype in _NATIVE:
        name = _store(torch.from_numpy(np.array(array, order="C")), place, tensors)
        return {"$": kind, "name": name, "dtype": array.dtype.str}
    raw = np.frombuffer(array.tobytes(), dtype=np.uint8).copy()
    name = _store(torch.from_numpy(raw), place, tensors)
    return {"$": kind, "name": name, "dtype": array.dtype.str, "shape": list(array.shape)}


def _store(tensor: Tensor, place: str, tensors: dict[str, Tensor]) -> str:
    """Store `tensor` under its place in the tree, made unique (`a/b` may be one key or two), and return that name."""
    name = place
    while name in tensors:
        name += "'"
    tensors[name] = tensor
    return name


def _to_array(tensor: Tensor, entry: dict[str, Any]) -> np.ndarray:
    array = tensor.numpy()
    if "shape" in entry:
        array = np.frombuffer(array.tobytes(), dtype=np.dtype(entry["dtype"])).reshape(entry["shape"]).copy()
    return array


def _detached(tensor: Tensor) -> Tensor:
    """A contiguous CPU copy without gradient; a copy, because two entries may not share memory in the file."""
    return tensor.detach().to(device="cpu", copy=True, memory_format=torch.contiguous_format)
