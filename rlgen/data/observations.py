"""Observations of R rows: one array, or a dictionary of arrays, one for each entry of a Dict space.

| kind | array |
|---|---|
| vectors, windows, discrete observations | float32 [R, O], flattened |
| images: uint8 of three dimensions or more | uint8 [R, ...], with their shape |
| an entry of a dictionary | float32 [R, O], uint8 [R, ...] with its shape, or int64 [R, K]: discrete values |
| codes in a dictionary: bytes below 255 | uint8 [R, K], flattened |
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from rlgen.data.columns import matrix, numbers
from rlgen.errors import problem

Observations = np.ndarray | dict[str, np.ndarray]

CHUNK_BYTES = 2**26
"""Bytes that are compared or hashed at a time."""


@dataclass(frozen=True, eq=False)
class SharedRows:
    """The rows `store[index]` of an array that also holds other rows. They are copied only where they are read: by
    `rows[...]` or `np.asarray(rows)`. NumPy arrays, or tensors of one device."""

    store: Any
    """[F, ...]."""
    index: Any
    """[R] int64."""

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Any) -> Any:
        first, *rest = rows if isinstance(rows, tuple) else (rows,)
        return self.store[(self.index[first], *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.store[self.index], dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.index), *self.store.shape[1:])

    @property
    def dtype(self) -> Any:
        return self.store.dtype

    @property
    def ndim(self) -> int:
        return self.store.ndim


def is_flat(observations: Any) -> TypeGuard[np.ndarray]:
    """Whether observations are vectors [R, O] and neither images nor a dictionary."""
    return not isinstance(observations, Mapping) and observations.ndim == 2


def entries(observations: Any) -> dict[str, Any]:
    """The arrays by name; a single array under the empty name."""
    return dict(observations) if isinstance(observations, Mapping) else {"": observations}


def of_entries(parts: dict[str, Any]) -> Any:
    """The inverse of `entries`."""
    return parts.get("", parts)


def each_entry(function: Callable[..., Any], *trees: Any) -> Any:
    """`function` of the arrays of one entry, for every entry: a dictionary, or one result for single arrays."""
    if isinstance(trees[0], Mapping):
        return {name: function(*(tree[name] for tree in trees)) for name in trees[0]}
    return function(*trees)


def count(observations: Any) -> int:
    """Number of rows R."""
    return len(next(iter(entries(observations).values())))


def take(observations: Any, rows: Any) -> Any:
    """The rows of an index, mask or slice."""
    return each_entry(lambda array: array[rows], observations)


def shapes(observations: Any) -> dict[str, tuple[int, ...]]:
    """Shape of a row by entry; a single array has the empty name."""
    return {name: tuple(array.shape[1:]) for name, array in entries(observations).items()}


def described(observations: Any) -> str:
    """Kinds and shapes of a row in words, for example "image: uint8 [7, 7, 3], direction: int64 [1]"."""
    parts = [(name, f"{array.dtype} {list(array.shape[1:])}") for name, array in entries(observations).items()]
    return ", ".join(f"{name}: {what}" if name else what for name, what in parts)


def checked(values: Any, key: str, source: str) -> Any:
    """Observations of one of the kinds above; `key` and `source` name them in error messages.

    Raises:
        InputError: values that are not numeric, an empty or nested dictionary, a name that is no text or contains "/".
    """
    if isinstance(values, SharedRows):
        return values
    if not isinstance(values, Mapping):
        array = numbers(values, "number", key, source)
        return array if array.dtype == np.uint8 and array.ndim > 3 else matrix(array, key, source)
    names = sorted(values, key=str)
    if not names or not all(isinstance(name, str) and name and "/" not in name for name in names):
        got = f"{', '.join(map(repr, names)) or 'no entry'} in {source}"
        raise problem(f"entries with names without '/' under {key!r}", got, "rename the entries of the Dict space")
    return {name: _entry(values[name], f"{key}/{name}", source) for name in names}


def _entry(values: Any, key: str, source: str) -> Any:
    if isinstance(values, SharedRows):
        return values
    if isinstance(values, Mapping):
        got = f"a dictionary of {', '.join(map(str, values))} in {source}"
        raise problem(f"an array under {key!r}", got, "flatten nested dictionaries to one level")
    array = numbers(values, "number", key, source)
    if array.dtype == np.uint8 and array.ndim > 1:
        return array
    if array.dtype.kind == "f":
        return matrix(array, key, source)
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise problem(f"whole numbers within int64 under {key!r}", f"{array.max()} in {source}", "use smaller ones")
    return matrix(array, key, source).astype(np.int64, copy=False)


def single(array: Any) -> Any:
    """The array with floats as float32; values beyond become infinite, which validation reports."""
    if isinstance(array, SharedRows):
        return SharedRows(single(array.store), array.index)
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array


def read_only(values: Any) -> Any:
    """A read-only view of an array or of `SharedRows`; the caller's own array stays writable."""
    if isinstance(values, SharedRows):
        return SharedRows(read_only(values.store), read_only(values.index))
    view = values.view()
    view.flags.writeable = False
    return view


def concatenate(parts: Sequence[Any]) -> Any:
    """All rows of observations with the same entries."""
    return each_entry(lambda *arrays: np.concatenate(arrays), *parts)


def rolled(observations: Any) -> Any:
    """The rows in the order 1, 2, …, R - 1, 0: the next observations of rows in time order, but for the last one."""
    if is_flat(observations):
        return np.roll(observations, -1, axis=0)
    index = np.roll(np.arange(count(observations)), -1)
    return each_entry(lambda array: SharedRows(array, index), observations)


def following(observations: Any, ends: np.ndarray, finals: Any) -> tuple[Any, Any]:
    """Observations and next observations of rows in which each next observation is the next row's observation, except
    in the rows `ends` [E], whose next observations are `finals` (E rows). Every row is stored once."""
    return joined([observations, finals], ends)


def joined(parts: Sequence[Any], ends: np.ndarray) -> tuple[Any, Any]:
    """As `following`, of observations and final observations in any number of parts, the final ones last."""
    store = concatenate(parts)
    rows = count(store) - len(ends)
    index = np.arange(1, rows + 1)
    index[ends] = rows + np.arange(len(ends))
    return of_store(store, index)


def of_store(store: Any, index: Any) -> tuple[Any, Any]:
    """Observations and next observations of R rows in a store of F >= R rows, which starts with the observations;
    the next observation of a row is number `index` [R] of the store."""
    return each_entry(lambda array: array[: len(index)], store), each_entry(
        lambda array: SharedRows(array, index), store
    )


def shared(observations: Any, next_observations: Any) -> tuple[Any, Any]:
    """The same observations, with every row that occurs in both stored once."""
    now, then = entries(observations), entries(next_observations)
    if all(isinstance(then[name], SharedRows) and _starts(then[name].store, now[name]) for name in now):
        return observations, next_observations
    same = np.zeros(count(observations), bool)
    same[:-1] = np.logical_and.reduce([_same_rows(now[name], then[name]) for name in now])
    ends = np.flatnonzero(~same)
    return following(observations, ends, take(next_observations, ends))


def _starts(store: np.ndarray, observations: np.ndarray) -> bool:
    """Whether `observations` are the first rows of `store`, in the same memory."""
    return observations.ctypes.data == store.ctypes.data and observations.strides == store.strides


def _same_rows(now: np.ndarray, then: Any) -> np.ndarray:
    """[R - 1] bool: rows whose next observation equals the next row's observation bit for bit."""
    same, start = np.zeros(len(now) - 1, bool), 0
    for some in chunks(now[1:]):
        rows = slice(start, start + len(some))
        left, right = (np.ascontiguousarray(each).reshape(len(some), -1).view(np.uint8) for each in (some, then[rows]))
        same[rows] = (left == right).all(axis=1)
        start += len(some)
    return same


def taken(observations: Any, next_observations: Any, kept: np.ndarray) -> tuple[Any, Any]:
    """The rows `kept` (a mask [R]) of observations and next observations."""
    if is_flat(observations):
        return observations[kept], next_observations[kept]
    old, (rows, *_) = np.flatnonzero(kept), entries(next_observations).values()
    wanted, place = rows.index[old], np.full(len(rows.store), -1)
    place[old] = np.arange(len(old))
    others = np.unique(wanted[place[wanted] < 0])
    place[others] = len(old) + np.arange(len(others))
    order = np.concatenate([old, others])
    return of_store(each_entry(lambda rows: rows.store[order], next_observations), place[wanted])


def chunks(array: Any) -> Iterator[np.ndarray]:
    """The rows of an array, or of `SharedRows`, some megabytes at a time."""
    size = max(1, CHUNK_BYTES // max(1, array.dtype.itemsize * int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), size):
        yield array[start : start + size]


def require_flat(
    observations: Any, what: str, source: str, instead: str = "use GAIL or BC, which read them"
) -> np.ndarray:
    """The vectors [R, O]. Raises `InputError` for images and dictionaries; `what` names who needs vectors, `instead`
    says what to do."""
    if not is_flat(observations):
        remedy = f"{instead}, or record demonstrations of a task with vectors"
        raise problem(f"observations that are vectors, for {what}", f"{described(observations)} in {source}", remedy)
    return observations
