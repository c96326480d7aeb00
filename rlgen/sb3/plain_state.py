"""States of tensors and JSON values alone, which `torch.load(weights_only=True)` reads."""

from typing import Any

import numpy as np
import torch

from rlgen.errors import problem


def plain(tree: Any) -> Any:
    """`tree` of dicts, lists and tuples with tensors, which share their memory, for arrays, and plain numbers."""
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
    """A copy of a tensor or, as older states have it, of an array."""
    return np.asarray(saved).copy()


def array_like(expected: np.ndarray, saved: Any, name: str) -> np.ndarray:
    """`saved` as an array. Raises `InputError` unless it has the shape of `expected` and can be cast to its type: NumPy
    would spread one row over all of them."""
    array = np.asarray(saved)
    if array.shape != expected.shape or not np.can_cast(array.dtype, expected.dtype, "same_kind"):
        kinds = [f"{list(each.shape)} of {each.dtype}" for each in (expected, array)]
        raise problem(f"{name} {kinds[0]}", kinds[1], "load the state into what was made with the same settings")
    return array
