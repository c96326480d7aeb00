"""Spaces that demonstrations support: numeric observations, and actions that are vectors or discrete."""

from typing import Any

import numpy as np

from rlgen.errors import problem


def observation_size(space: Any, where: str = "the environment") -> int:
    """Size of a flattened observation; 1 for a Discrete space.

    Raises:
        InputError: for spaces without a shape (dictionaries, tuples, texts) and for images.
    """
    if getattr(space, "shape", None) is None:
        raise problem(
            "numeric observations (a Box)",
            f"{space} of {where}",
            "wrap the environment: gymnasium.wrappers.FlattenObservation makes one vector of a dictionary",
        )
    if len(space.shape) == 3 and space.dtype == np.uint8:
        raise problem(
            "observations that are vectors or windows of vectors",
            f"images of shape {list(space.shape)} of {where}",
            "choose a task with vector observations: demonstrations cannot hold images",
        )
    return int(np.prod(space.shape))


def action_bounds(space: Any) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest action, [A] each, of a one-dimensional Box, or of a discrete space: Discrete, one-dimensional
    MultiDiscrete or MultiBinary.

    Raises `InputError` for other spaces."""
    if hasattr(space, "low") and len(space.shape) == 1:
        return np.asarray(space.low, np.float64), np.asarray(space.high, np.float64)
    if is_whole(space):
        sizes = np.full(space.shape, 2) if space.shape and hasattr(space, "n") else getattr(space, "nvec", None)
        low = np.atleast_1d(np.asarray(getattr(space, "start", 0), np.float64))
        sizes = np.atleast_1d(np.asarray(space.n if sizes is None else sizes, np.float64))
        return np.broadcast_to(low, sizes.shape), low + sizes - 1
    raise problem(
        "actions that are vectors (a one-dimensional Box) or discrete (Discrete, MultiDiscrete, MultiBinary)",
        f"{space}",
        "choose another task",
    )


def is_whole(space: Any) -> bool:
    """Whether actions are the integers of a discrete space, in one dimension at most."""
    counted = hasattr(space, "n") or hasattr(space, "nvec")
    return counted and len(getattr(space, "shape", None) or ()) <= 1
