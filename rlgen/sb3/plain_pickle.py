"""Reads pickles of Stable-Baselines3 without importing a class."""

import io
import math
import pickle
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from rlgen.errors import problem

NUMBERS = "biuf"
"""Kinds of NumPy type that are read: bools, integers and floats."""


class Refused(Exception):
    """A pickle with content other than plain values."""


class Record:
    """An object of the pickle: its class, its constructor arguments, and its state."""

    kind: str
    name: str
    """The kind; only instances have it, not the class, which may itself be an object in a pickle."""

    def __init__(self, *arguments: Any, **named: Any):
        self.arguments, self.state = arguments, named

    def __new__(cls, *arguments: Any, **named: Any) -> "Record":
        made = super().__new__(cls)
        made.name, made.arguments, made.state = cls.kind, arguments, named
        return made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute of the object."""
        return self.state.get(key, default) if isinstance(self.state, dict) else default


class Ordered(dict):
    """An OrderedDict of the pickle."""

    def __setstate__(self, state: Any) -> None:
        raise Refused("a dictionary with a state")


_SPACES = ("box.Box", "dict.Dict", "discrete.Discrete", "multi_discrete.MultiDiscrete", "multi_binary.MultiBinary")
_TYPES = (
    *("bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "bool"),
)
_RANDOM = (
    *("__generator_ctor", "__bit_generator_ctor", "__randomstate_ctor"),
    *("_pickle.__generator_ctor", "_pickle.__bit_generator_ctor", "_pickle.__randomstate_ctor"),
)


def _listed() -> dict[tuple[str, str], str]:
    """Module and name of everything that may occur in a pickle → its kind."""
    names = {
        ("stable_baselines3.common.vec_env.vec_normalize", "VecNormalize"): "VecNormalize",
        ("stable_baselines3.common.running_mean_std", "RunningMeanStd"): "RunningMeanStd",
        ("numpy", "ndarray"): "ndarray",
        ("numpy", "dtype"): "dtype",
        ("_codecs", "encode"): "bytes",
        ("__builtin__", "bytes"): "bytes",
    }
    for library in ("gymnasium", "gym"):
        for each in _SPACES:
            module, name = each.split(".")
            names[f"{library}.spaces.{module}", name] = name
        names[f"{library}.utils.seeding", "RandomNumberGenerator"] = "random"
        names[f"{library}.utils.seeding", "RandomNumberGenerator._generator_ctor"] = "random"
    for core in ("numpy.core", "numpy._core"):
        names |= {(f"{core}.multiarray", each): each for each in ("_reconstruct", "scalar")}
        names[f"{core}.numeric", "_frombuffer"] = "_frombuffer"
    names |= {("numpy", each): "type" for each in _TYPES}
    names |= {("numpy.dtypes", f"{each.capitalize()}DType"): "type" for each in _TYPES}
    for each in _RANDOM:
        module, _, name = each.rpartition(".")
        names["numpy.random" + (f".{module}" if module else ""), name] = "random"
    for each in ("PCG64", "MT19937", "Philox", "SFC64"):
        names[f"numpy.random._{each.lower()}", each] = "random"
    names["numpy.random.bit_generator", "SeedSequence"] = "random"
    names["numpy.random._mt19937", "MT19937"] = "random"
    names["numpy.random._bit_generator", "SeedSequence"] = "random"
    names["numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"] = "random"
    return names


RECORDS = {key: type(name, (Record,), {"kind": name}) for key, name in _listed().items()}
"""Inert classes, one for each allowed name."""


class _PlainUnpickler(pickle._Unpickler):  # type: ignore[name-defined, misc]
    def find_class(self, module: str, name: str) -> type:
        if (module, name) == ("collections", "OrderedDict"):
            return Ordered
        found = RECORDS.get((module, name))
        if found is None:
            raise Refused(f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> Any:
        raise Refused("a reference to something outside the file")

    def get_extension(self, code: int) -> Any:
        raise Refused(f"extension {code}")


def read_plain(content: bytes, where: str) -> Any:
    """The object in `content`: numbers, texts, containers, and records in place of objects.

    Raises:
        InputError: anything but spaces, arrays, running statistics and a VecNormalize of them, by name; or a damaged
            pickle.
    """
    try:
        return _PlainUnpickler(io.BytesIO(content)).load()
    except Refused as refused:
        got = f"{refused} in {where}, which could run code and is not opened"
    except Exception as error:  # bytes that are no pickle can make an unpickler fail in any way
        got = f"a damaged file, {where} ({type(error).__name__})"
    raise problem("a pickle of only spaces, arrays and running statistics", got, "save it again with plain SB3")


def array_of(record: Any) -> np.ndarray:
    """The numbers of an array, a NumPy scalar or a plain number. Raises `ValueError` for anything else."""
    if isinstance(record, bool | int | float):
        return np.asarray(record)
    name = getattr(record, "name", None)
    if name == "scalar":
        kind, raw = record.arguments
        return _filled(raw, _dtype(kind), ())
    if name == "_frombuffer":
        raw, kind, shape, *order = record.arguments
        return _filled(raw, _dtype(kind), shape, fortran=order == ["F"])
    if name == "_reconstruct":
        _, shape, kind, fortran, raw = record.state
        return _filled(raw, _dtype(kind), shape, fortran=bool(fortran))
    raise ValueError(f"{name or type(record).__name__} where an array was expected")


def _dtype(record: Any) -> np.dtype:
    """A NumPy type of plain numbers."""
    if getattr(record, "name", None) != "dtype" or not isinstance(record.arguments[0], str):
        raise ValueError("a type that is not NumPy's own")
    text = record.arguments[0]
    if not (2 <= len(text) <= 3 and text[0] in NUMBERS and text[1:].isdigit()):
        raise ValueError(f"numbers of type {text!r}")
    order = record.state[1] if isinstance(record.state, tuple) and len(record.state) > 1 else "="
    return np.dtype(text).newbyteorder("<" if order == "<" else ">" if order == ">" else "=")


def _filled(raw: Any, dtype: np.dtype, shape: Any, fortran: bool = False) -> np.ndarray:
    if getattr(raw, "name", None) == "bytes":  # in protocol 2
        raw = "".join(str(text) for text in raw.arguments[:1]).encode("latin1")
    if not isinstance(raw, bytes | bytearray) or not isinstance(shape, tuple):
        raise ValueError("an array without its bytes")
    if not all(isinstance(size, int) and size >= 0 for size in shape) or len(shape) > 32:
        raise ValueError("an array without sizes")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError("an array of another size than its bytes")
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C").copy()


def plain(tree: Any) -> Any:
    """`tree` of dicts, lists and tuples with arrays replaced by tensors that share their memory, and plain numbers."""
    if isinstance(tree, np.ndarray):
        return torch.from_numpy(tree)
    if isinstance(tree, np.generic):
        return tree.item()
    if isinstance(tree, dict):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [plain(value) for value in tree]
    return tree


def own_array(saved: Any) -> np.ndarray:
    """A copy of a tensor, or of an array in older states."""
    return np.asarray(saved).copy()


def array_like(expected: np.ndarray, saved: Any, name: str) -> np.ndarray:
    """`saved` as an array. Raises `InputError` unless it has the shape of `expected` and can be cast to its type: NumPy
    would broadcast one row over all of them."""
    array = np.asarray(saved)
    if array.shape != expected.shape or not np.can_cast(array.dtype, expected.dtype, "same_kind"):
        kinds = [f"{list(each.shape)} of {each.dtype}" for each in (expected, array)]
        raise problem(f"{name} {kinds[0]}", kinds[1], "load the state into what was made with the same settings")
    return array


def space_of(record: Any) -> spaces.Space:
    """The Gymnasium space that a record of `rlgen.sb3.plain_pickle` describes, also a space of the older Gym.

    Raises `ValueError` for other records, and for numbers that make no valid space."""
    try:
        return _space(record)
    except (TypeError, AttributeError, AssertionError, OverflowError) as error:
        raise ValueError(f"no space: {error}") from error


def _space(record: Any) -> spaces.Space:
    name = getattr(record, "name", None)
    if name == "Box":
        low, high = array_of(record.get("low")), array_of(record.get("high"))
        return spaces.Box(low, high, dtype=low.dtype.type)
    if name == "Discrete":
        start = record.get("start", 0)
        return spaces.Discrete(int(array_of(record.get("n"))), start=int(array_of(start)))
    if name == "MultiDiscrete":
        return spaces.MultiDiscrete(array_of(record.get("nvec")).astype(np.int64))
    if name == "Dict":
        inner = dict(record.get("spaces"))
        if any(getattr(each, "name", None) == "Dict" for each in inner.values()):
            raise ValueError("a Dict within a Dict")
        return spaces.Dict({str(key): _space(each) for key, each in inner.items()})
    if name == "MultiBinary":
        sizes = record.get("n")
        return spaces.MultiBinary(list(sizes) if isinstance(sizes, tuple | list) else int(array_of(sizes)))
    raise ValueError(f"a space of the kind {name or type(record).__name__}")
