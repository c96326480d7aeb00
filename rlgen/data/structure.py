"""Do the arrays of a set of demonstrations fit together? Asked once, at construction."""

import json
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from rlgen.errors import problem

if TYPE_CHECKING:
    from rlgen.data.demonstrations import Demonstrations

ROUNDING = 1e-3
"""Relative to the sum of a return's absolute rewards: sums in float32, in any order."""


def check_structure(demonstrations: "Demonstrations") -> None:
    """Raises an InputError naming the source, the key and the row if shapes, order or metadata are wrong."""
    _check_shapes(demonstrations)
    _check_order(demonstrations)
    _check_returns(demonstrations)
    _check_metadata(demonstrations)


def _check_shapes(demos: "Demonstrations") -> None:
    rows = len(demos.observations)
    if rows == 0 or demos.observations.shape[1] == 0 or demos.actions.size == 0:
        raise problem("at least one row", f"none in {demos.source}", "record or choose a file that is not empty")
    if demos.next_observations.shape != demos.observations.shape:
        _misfit(demos, "next_observations", list(demos.observations.shape))
    if len(demos.actions) != rows:
        _misfit(demos, "actions", [rows, demos.actions.shape[1]])
    for name in ("rewards", "terminated", "truncated", "episode", "step"):
        if getattr(demos, name) is not None and getattr(demos, name).shape != (rows,):
            _misfit(demos, name, [rows])
    if demos.episode_lengths.ndim != 1:
        _misfit(demos, "episode_lengths", [int(demos.episode.max()) + 1])
    if demos.episode_returns is not None and demos.episode_returns.shape != demos.episode_lengths.shape:
        _misfit(demos, "episode_returns", list(demos.episode_lengths.shape))


def _misfit(demos: "Demonstrations", name: str, shape: list[int]) -> NoReturn:
    raise problem(
        f"shape {shape} under {name!r}",
        f"{list(getattr(demos, name).shape)} in {demos.source}",
        "the file is incomplete or was put together wrongly: write it again",
    )


def _check_order(demos: "Demonstrations") -> None:
    """Episodes are numbered, rows of an episode follow each other, and only its last step may end it."""
    episode, step, episodes = demos.episode, demos.step, demos.n_episodes
    numbered = (episode >= 0) & (episode < episodes)
    if not numbered.all():
        _out_of_order(demos, f"'episode' outside 0 to {episodes - 1}", int(np.argmin(numbered)))
    ordered = np.where(episode[1:] == episode[:-1], step[1:] > step[:-1], episode[1:] > episode[:-1])
    if not ordered.all():
        _out_of_order(demos, "'episode' or 'step' going backwards", int(np.argmin(ordered)) + 1)
    length = demos.episode_lengths[episode]
    inside = (step >= 0) & (step < length)
    if not inside.all():
        _out_of_order(demos, "'step' outside the episode's length", int(np.argmin(inside)))
    early = (demos.terminated | demos.truncated) & (step != length - 1)
    if early.any():
        _out_of_order(demos, "an end of the episode before its last step", int(np.argmax(early)))


def _check_returns(demos: "Demonstrations") -> None:
    """Where every step of an episode is there, its return is the sum of its rewards."""
    if demos.rewards is None or demos.episode_returns is None:
        return
    whole = np.bincount(demos.episode, minlength=demos.n_episodes) == demos.episode_lengths
    with np.errstate(invalid="ignore"):  # validation names what is not finite
        returns, rewards = (each.astype(np.float64) for each in (demos.episode_returns, demos.rewards))
        sums, sizes = (np.bincount(demos.episode, each, demos.n_episodes) for each in (rewards, abs(rewards)))
        slack = ROUNDING * sizes
        wrong = whole & np.isfinite(sums) & (abs(returns - sums) > slack)
    if wrong.any():
        number = int(np.argmax(wrong))
        raise problem(
            f"the sum of its rewards, {sums[number]:g}, as the return of episode {number}",
            f"{returns[number]:g} under 'episode_returns' in {demos.source}",
            "leave one of the two out: they are of different rewards (scaled ones, for instance)",
        )


def _out_of_order(demos: "Demonstrations", came: str, row: int) -> NoReturn:
    raise problem(
        "rows in order: 'episode' counting up from 0, 'step' counting up within each episode",
        f"{came}, row {row} of {demos.source}",
        "sort the rows by episode and step, or build them with Demonstrations.from_episodes",
    )


def _check_metadata(demos: "Demonstrations") -> None:
    if not isinstance(demos.metadata, dict):
        came = f"{type(demos.metadata).__name__} in {demos.source}"
        raise problem("metadata by name (a dictionary)", came, "give a dictionary, which may be empty")
    if demos.env_id is not None and not isinstance(demos.env_id, str):
        came = f"{type(demos.env_id).__name__} in {demos.source}"
        raise problem("a Gymnasium id or None as env_id", came, "give the id as a text")
    if demos.stride < 1:
        raise problem("a stride of at least 1", f"{demos.stride} in {demos.source}", "give 1 for every step")
    try:
        json.dumps(demos.metadata, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise problem("metadata of JSON values", f"{error} in {demos.source}", "convert it to plain values") from error
