"""Spaces of a pickle that was read as plain records."""

from typing import Any

import numpy as np
from gymnasium import spaces

from rlgen.sb3.plain_pickle import array_of


def space_of(record: Any) -> spaces.Space:
    """The Gymnasium space that a record of `rlgen.sb3.plain_pickle` describes, that of Gym before it too.

    Raises `ValueError` for other records, and for numbers that make no space."""
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
    if name == "MultiBinary":
        sizes = record.get("n")
        return spaces.MultiBinary(list(sizes) if isinstance(sizes, tuple | list) else int(array_of(sizes)))
    raise ValueError(f"a space of the kind {name or type(record).__name__}")
