"""Checks that demonstrations fit an environment and that their numbers are usable."""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.recording import (
    action_bounds,
    environment_id,
    environment_options,
    is_whole,
    kwargs_text,
)
from rlgen.data.rows import Rows
from rlgen.data.spaces import fits, is_codes, kinds_of, with_entries
from rlgen.data.words import NOTED, WORDS, has_instructions, words_of
from rlgen.errors import problem

TOLERANCE = 1e-5
"""Tolerance of an action beyond a bound, relative to the bound's size: float32 rounding."""

log = logging.getLogger("rlgen")


def validate(demonstrations: Rows, env: Any) -> None:
    """Raises an InputError naming source, key and row. See `Demonstrations.validate`."""
    name = environment_id(env)
    where = name or "the environment"
    low, high = action_bounds(env.action_space)
    _check_words(demonstrations, env)
    _check_observations(demonstrations, env.observation_space, where)
    _require_actions(demonstrations)
    _check_width(demonstrations, "actions", len(low), where)
    check_finite(demonstrations)
    _check_discrete(demonstrations, env.observation_space, where)
    if is_whole(env.action_space):
        _check_whole(demonstrations, where)
    _check_bounds(demonstrations, low, high, where)
    _compare_recording(demonstrations, env, name, low, high)


def _require_actions(demonstrations: Rows) -> None:
    """Raises an InputError for demonstrations of states alone."""
    if demonstrations.actions.shape[1] == 1 and np.isnan(demonstrations.actions).all():
        raise problem(
            "demonstrated actions",
            f"none in {demonstrations.source}",
            'use others, or imitate states alone by GAIL: AdversarialConfig(inputs="state_transition") and '
            "GAILConfig(warm_start=False), rlgen train gail --gail.discriminator.inputs state_transition "
            "--gail.no-warm-start",
        )


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
    for key, array in floats_of(demonstrations):
        may_be_unknown = key in ("rewards", "episode_returns")
        if np.isfinite(array).all():
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


def floats_of(demonstrations: Rows) -> Iterator[tuple[str, np.ndarray]]:
    """The columns of floats by key, for example observations, or observations/position of a dictionary."""
    for key in ("observations", "actions", "next_observations", "rewards", "episode_returns"):
        if (values := getattr(demonstrations, key)) is None:
            continue
        for name, array in tree.entries(values).items():
            if array.dtype == np.float32:
                yield f"{key}/{name}" if name else key, np.asarray(array)


def beyond_bounds(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """[R, A] bool: outside the action space by more than float32 rounding."""
    slack = TOLERANCE * np.maximum(1.0, np.where(np.isfinite(high - low), np.maximum(abs(low), abs(high)), 0.0))
    return (actions < low - slack) | (actions > high + slack)


def _check_words(demonstrations: Rows, env: Any) -> None:
    """Requires that a number is the same word in demonstrations and environment."""
    if not has_instructions(env.observation_space):
        return
    words = list(words_of(env))
    if demonstrations.metadata.get(NOTED, words) != words:
        expected = "instructions in the words of rlgen.data.words"
        if len(words) > len(WORDS):
            expected += f" and those that the task adds ({', '.join(words[len(WORDS) :][:5])} …)"
        remedy = "record them again, or number their instructions by rlgen.data.words.encode"
        raise problem(expected, f"others in {demonstrations.source}", remedy)


def _check_observations(demonstrations: Rows, space: Any, where: str) -> None:
    kinds, seen = kinds_of(space, where), demonstrations.observations
    if tree.is_flat(seen) and kinds.keys() == {""} and kinds[""][0] == "float32":
        return _check_width(demonstrations, "observations", kinds[""][1][0], where)
    shapes = tree.shapes(seen)
    found = {name: str(array.dtype) for name, array in tree.entries(seen).items()}
    fit = kinds.keys() == shapes.keys() and all(
        found[name] == kinds[name][0] and fits(shapes[name], kinds[name]) for name in kinds
    )
    if not fit:
        expected = ", ".join(
            f"{f'{name}: ' if name else ''}{kind} {list(shape)}" for name, (kind, shape) in kinds.items()
        )
        raise problem(
            f"observations of {where}, {expected} per row",
            f"{tree.described(seen)} in {demonstrations.source}{_recorded_on(demonstrations)}",
            f"record the demonstrations on {where}, with the same wrappers",
        )


def _check_discrete(demonstrations: Rows, space: Any, where: str) -> None:
    """Requires values within their discrete space, where an entry of a dictionary is discrete or codes."""
    spaces = with_entries(space)
    for key in ("observations", "next_observations"):
        for name, array in tree.entries(getattr(demonstrations, key)).items():
            if not (array.dtype == np.int64 and is_whole(spaces[name])) and not is_codes(spaces[name]):
                continue
            low, high = action_bounds(spaces[name])
            values = np.asarray(array)
            outside = (values < low) | (values > high)
            if outside.any():
                row, number = (int(i) for i in np.argwhere(outside)[0])
                raise problem(
                    f"whole numbers from {low[number]:g} to {high[number]:g} under '{key}/{name}', as {where} has",
                    f"{values[row, number]} in {demonstrations.source}, row {row}",
                    "record the demonstrations on this task",
                )


def _recorded_on(demonstrations: Rows) -> str:
    return f" (recorded on {demonstrations.env_id})" if demonstrations.env_id else ""


def _check_width(demonstrations: Rows, key: str, expected: int, where: str) -> None:
    got = getattr(demonstrations, key).shape[1]
    if got != expected:
        raise problem(
            f"{expected} numbers per row under {key!r}, which is what {where} has",
            f"{got} in {demonstrations.source}{_recorded_on(demonstrations)}",
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
