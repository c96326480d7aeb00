"""What demonstrations hold of an observation space: the kind and shape of each entry."""

from typing import Any

import numpy as np

from rlgen.data.observations import entries
from rlgen.errors import InputError, problem

Kinds = dict[str, tuple[str, tuple[int, ...]]]
"""Type and shape of a row by entry; a space other than a Dict has one entry with an empty name."""


def kinds_of(space: Any, where: str = "the environment") -> Kinds:
    """Type and shape of an observation of `space` in demonstrations (`rlgen.data.observations`).

    Raises:
        InputError: texts, tuples, graphs, sequences, and dictionaries within dictionaries.
    """
    if not hasattr(space, "spaces"):
        return {"": _kind(space, where)}
    if not isinstance(getattr(space, "spaces", None), dict):
        raise _unsupported(space, where)
    return {name: _kind_of_entry(inner, name, space, where) for name, inner in sorted(space.spaces.items())}


def _kind(space: Any, where: str) -> tuple[str, tuple[int, ...]]:
    if getattr(space, "shape", None) is None:
        raise _unsupported(space, where)
    if is_image(space):
        return "uint8", tuple(space.shape)
    return "float32", (int(np.prod(space.shape)),)


def _kind_of_entry(space: Any, name: str, whole: Any, where: str) -> tuple[str, tuple[int, ...]]:
    if hasattr(space, "spaces") or getattr(space, "shape", None) is None:
        kept = [each for each, inner in whole.spaces.items() if getattr(inner, "shape", None) is not None]
        raise problem(
            "entries that are numbers (Box, Discrete, MultiDiscrete, MultiBinary) in a Dict of one level",
            f"{name!r}, {_short(space)}, of {where}",
            f"leave it out: gymnasium.wrappers.FilterObservation(env, {kept})",
        )
    if hasattr(space, "low") and space.dtype == np.uint8 and space.shape:
        return "uint8", tuple(space.shape)
    number = "float32" if space.dtype is not None and np.dtype(space.dtype).kind == "f" else "int64"
    return number, (int(np.prod(space.shape)),)


def _unsupported(space: Any, where: str) -> InputError:
    return problem(
        "numeric observations (a Box, a discrete space, or a Dict of them)",
        f"{_short(space)} of {where}",
        "wrap the environment: gymnasium.wrappers.FlattenObservation makes one vector of a tuple",
    )


def _short(space: Any) -> str:
    text = str(space)
    return text if len(text) <= 120 else f"{text[:120]}…"


def is_image(space: Any) -> bool:
    """Whether observations of a Box are images: bytes of three dimensions or more."""
    return hasattr(space, "low") and space.dtype == np.uint8 and len(space.shape) >= 3


def fits(got: tuple[int, ...], kind: tuple[str, tuple[int, ...]]) -> bool:
    """Whether rows of shape `got` are of this kind. Images fit with channels first and last, because
    Stable-Baselines3 moves the channels to the front."""
    dtype, shape = kind
    if dtype == "uint8" and len(shape) == len(got) == 3:
        return got in (shape, (shape[2], *shape[:2]), (*shape[1:], shape[0]))
    return got == shape


def with_entries(space: Any) -> dict[str, Any]:
    """The space of each entry; a space other than a Dict under the empty name."""
    return entries(space.spaces) if isinstance(getattr(space, "spaces", None), dict) else {"": space}
