"""Checks that demonstrations fit an environment and that their numbers are usable."""

import logging
from typing import Any

import numpy as np

from rlgen.data.recording import (
    action_bounds,
    environment_id,
    environment_options,
    is_whole,
    kwargs_text,
    observation_size,
)
from rlgen.data.rows import Rows
from rlgen.errors import problem

TOLERANCE = 1e-5
"""Tolerance of an action beyond a bound, relative to the bound's size: float32 rounding."""

log = logging.getLogger("rlgen")


def validate(demonstrations: Rows, env: Any) -> None:
    """Raises an InputError naming source, key and row. See `Demonstrations.validate`."""
    name = environment_id(env)
    where = name or "the environment"
    low, high = action_bounds(env.action_space)
    _check_width(demonstrations, "observations", observation_size(env.observation_space, where), where)
    _check_width(demonstrations, "actions", len(low), where)
    check_finite(demonstrations)
    if is_whole(env.action_space):
        _check_whole(demonstrations, where)
    _check_bounds(demonstrations, low, high, where)
    _compare_recording(demonstrations, env, name, low, high)


def recorded_bounds(demonstrations: Rows) -> tuple[np.ndarray, np.ndarray] | None:
    """Lowest and highest action, [A] each, from the metadata of a recording; None if they are missing."""
    low, high = (demonstrations.metadata.get(f"action_{side}") for side in ("low", "high"))
    try:
        bounds = np.asarray(low, np.float64), np.asarray(high, np.float64)
    except (TypeError, ValueError):
        return None
    fits = all(bound.shape == demonstrations.actions.shape[1:] for bound in bounds) and (bounds[0] <= bounds[1]).all()
    return bounds if fits else None


def check_finite(demonstrations: Rows) -> None:
    """Requires finite values in all columns, except that NaN marks a reward or return as unknown."""
    for key in ("observations", "actions", "next_observations", "rewards", "episode_returns"):
        array = getattr(demonstrations, key)
        may_be_unknown = key in ("rewards", "episode_returns")
        if array is None or np.isfinite(array).all():
            continue
        bad = np.isinf(array) if may_be_unknown else ~np.isfinite(array)
        if not bad.any():
            continue
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        what = "row" if key != "episode_returns" else "episode"
        column = f", number {place[1]}" if len(place) > 1 else ""
        raise problem(
            "finite numbers within float32",
            f"{array[place]} in {demonstrations.source}, key {key!r}, {what} {place[0]}{column}",
            "leave that episode out or record it again",
        )


def beyond_bounds(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """[R, A] bool: outside the action space by more than float32 rounding."""
    slack = TOLERANCE * np.maximum(1.0, np.where(np.isfinite(high - low), np.maximum(abs(low), abs(high)), 0.0))
    return (actions < low - slack) | (actions > high + slack)


def _check_width(demonstrations: Rows, key: str, expected: int, where: str) -> None:
    got = getattr(demonstrations, key).shape[1]
    if got != expected:
        known = f" (recorded on {demonstrations.env_id})" if demonstrations.env_id else ""
        raise problem(
            f"{expected} numbers per row under {key!r}, which is what {where} has",
            f"{got} in {demonstrations.source}{known}",
            f"record the demonstrations on {where}, or make the environment with the options they were recorded with",
        )


def _check_bounds(demonstrations: Rows, low: np.ndarray, high: np.ndarray, where: str) -> None:
    outside = beyond_bounds(demonstrations.actions, low, high)
    if outside.any():
        row, number = (int(i) for i in np.argwhere(outside)[0])
        raise problem(
            f"actions between {low[number]:g} and {high[number]:g}, the action space of {where}",
            f"{demonstrations.actions[row, number]:g} in {demonstrations.source}, key 'actions', row {row}, number "
            f"{number} ({outside.any(axis=1).mean():.1%} of the rows)",
            "store actions in environment scale, clipped as the environment received them",
        )


def _check_whole(demonstrations: Rows, where: str) -> None:
    broken = demonstrations.actions != np.round(demonstrations.actions)
    if broken.any():
        row, number = (int(i) for i in np.argwhere(broken)[0])
        raise problem(
            f"whole numbers under 'actions', the discrete actions of {where}",
            f"{demonstrations.actions[row, number]:g} in {demonstrations.source}, row {row}, number {number}",
            "record the demonstrations on this task",
        )


def _compare_recording(demonstrations: Rows, env: Any, name: str | None, low: np.ndarray, high: np.ndarray) -> None:
    """Warns if the environment differs from the recording's, as far as both are known."""
    noted = demonstrations.metadata
    _compare(demonstrations, "env_id", demonstrations.env_id, name)
    _compare(demonstrations, "margin rule", noted.get("margin_rule"), getattr(env, "margin_rule", None))
    made_with = (noted.get("env_kwargs"), environment_options(env))
    recorded, present = (None if options is None else kwargs_text(options) for options in made_with)
    _compare(demonstrations, "keyword arguments", recorded, present)
    bounds = recorded_bounds(demonstrations)
    if bounds is not None and not np.allclose(bounds, (low, high), rtol=TOLERANCE):
        _compare(demonstrations, "action bounds", *(f"{a.tolist()} to {b.tolist()}" for a, b in (bounds, (low, high))))


def _compare(demonstrations: Rows, what: str, recorded: Any, present: Any) -> None:
    if recorded and present and recorded != present:
        log.warning(
            "expected demonstrations of %s %s; %s were recorded with %s; the dynamics may differ, so record them again "
            "if imitation stays poor",
            *(what, present, demonstrations.source, recorded),
        )
