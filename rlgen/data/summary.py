"""Summary statistics of demonstrations."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.recording import action_bounds, is_whole
from rlgen.data.rows import ENDED_BY_TASK, Rows
from rlgen.data.validation import beyond_bounds, floats_of, recorded_bounds

KINDS = {"float32": "vector", "uint8": "image", "int64": "discrete"}
CODES = "codes"
"""The kind of bytes in one dimension."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of the observations; observations other than dictionaries have one with an empty name."""

    name: str
    kind: str
    """vector, image (bytes of two dimensions or more), codes (bytes in one) or discrete."""

    shape: tuple[int, ...]
    range: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Result of `Demonstrations.summary`. Ranges leave out NaN and infinity, which `warnings` reports."""

    source: str
    env_id: str | None
    rows: int
    episodes: int
    stride: int
    observation_size: int
    """Numbers of an observation, over all entries."""

    action_size: int

    return_mean: float | None
    """Mean undiscounted return of the complete episodes; None if one of them is unknown."""

    return_std: float | None
    return_min: float | None
    return_max: float | None
    length_mean: float
    length_min: int
    length_max: int

    terminated: int
    """Episodes that the task itself ended, counted if their last step is among the rows, or the file notes it."""

    truncated: int
    """Episodes that a time limit ended, counted alike."""

    observation_range: tuple[float, float]
    entries: tuple["Entry", ...]
    """Kind, shape and range of each entry of the observations."""

    action_range: tuple[float, float]

    share_clipped: float | None
    """Fraction of action components at a bound of the action space; None if the bounds are unknown."""

    warnings: tuple[str, ...]


def summarize(demonstrations: Rows, action_space: Any = None) -> Summary:
    """See `Demonstrations.summary`. Bounds come from `action_space`, else from the metadata of a recording."""
    bounds = bounds_of(demonstrations, action_space)
    returns, lengths = demonstrations.episode_returns, demonstrations.episode_lengths
    parts = tuple(_entry(*each) for each in tree.entries(demonstrations.observations).items())
    statistics = [None] * 4
    if returns is not None and not np.isnan(returns).any():
        statistics = [float(f(returns.astype(np.float64))) for f in (np.mean, np.std, np.min, np.max)]  # type: ignore
    terminated, truncated = _ends(demonstrations)
    return Summary(
        source=demonstrations.source,
        env_id=demonstrations.env_id,
        rows=len(demonstrations),
        episodes=demonstrations.n_episodes,
        stride=demonstrations.stride,
        observation_size=sum(math.prod(each.shape) for each in parts),
        action_size=demonstrations.actions.shape[1],
        return_mean=statistics[0],
        return_std=statistics[1],
        return_min=statistics[2],
        return_max=statistics[3],
        length_mean=float(lengths.mean()),
        length_min=int(lengths.min()),
        length_max=int(lengths.max()),
        terminated=terminated,
        truncated=truncated,
        observation_range=(min(each.range[0] for each in parts), max(each.range[1] for each in parts)),
        entries=parts,
        action_range=_range(demonstrations.actions),
        share_clipped=None if bounds is None else float(at_bound(demonstrations.actions, *bounds).mean()),
        warnings=tuple(_warnings(demonstrations, bounds)),
    )


def _ends(demonstrations: Rows) -> tuple[int, int]:
    """Episodes that the task, and that a time limit ended."""
    noted = demonstrations.ended_by_task
    if noted is None or ENDED_BY_TASK not in demonstrations.metadata:
        return int(demonstrations.terminated.sum()), int(demonstrations.truncated.sum())
    return int(noted.sum()), int((~noted).sum())


def at_bound(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """[R, A] bool: actions at a bound of the action space (bounds rounded to float32), or beyond."""
    return (actions <= low.astype(np.float32)) | (actions >= high.astype(np.float32))


def bounds_of(demonstrations: Rows, action_space: Any = None) -> tuple[np.ndarray, np.ndarray] | None:
    """Lowest and highest action, [A] each: of `action_space`, else from the recording's metadata, else None. None for
    discrete actions, where every value would count as a bound."""
    if action_space is None:
        return recorded_bounds(demonstrations)
    return None if is_whole(action_space) else action_bounds(action_space)


def _entry(name: str, array: np.ndarray) -> Entry:
    low, high = zip(*(_range(some) for some in tree.chunks(array)), strict=True)
    return Entry(
        name=name,
        kind=CODES if array.dtype == np.uint8 and array.ndim == 2 else KINDS[str(array.dtype)],
        shape=array.shape[1:],
        range=(float(np.nanmin(low)), float(np.nanmax(high))) if np.isfinite(low).any() else (math.nan, math.nan),
    )


def _range(array: np.ndarray) -> tuple[float, float]:
    finite = array[np.isfinite(array)]
    return (float(finite.min()), float(finite.max())) if finite.size else (float("nan"), float("nan"))


def _warnings(demonstrations: Rows, bounds: tuple[np.ndarray, np.ndarray] | None) -> list[str]:
    """Points to check before training, one sentence each."""
    found = []
    for key, array in floats_of(demonstrations):
        if bad := int((~np.isfinite(array.reshape(len(array), -1))).any(axis=1).sum()):
            found.append(f"{bad} {'entries' if key == 'episode_returns' else 'rows'} of {key} hold NaN or infinity")
    if bounds is not None and (outside := beyond_bounds(demonstrations.actions, *bounds).any(axis=1).sum()):
        found.append(f"{outside} rows hold actions outside the action space")
    if demonstrations.env_id is None:
        found.append("the environment is not named, so it cannot be compared with the one you train in")
    empty = demonstrations.n_episodes - len(np.unique(demonstrations.episode))
    if empty:
        found.append(f"{empty} episodes have no row")
    returns = demonstrations.episode_returns
    if returns is not None and (poor := int((returns < 0.5 * np.median(returns)).sum())) and np.median(returns) > 0:
        found.append(f"{poor} episodes return less than half the median: imitation copies them too")
    vectors = [each for each in tree.entries(demonstrations.observations).values() if each.dtype == np.float32]
    constant = sum(int((np.ptp(each, axis=0) == 0).sum()) for each in vectors)
    if constant and len(demonstrations) > 1:
        size = sum(each.shape[1] for each in vectors)
        found.append(
            f"{constant} of {size} observation dimensions never change: harmless where they never change in the "
            "environment either (contact forces that Gymnasium leaves at zero), else record more varied episodes"
        )
    return found
