"""One recorded episode, and the conversion between episodes and rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.columns import column, matrix
from rlgen.data.observations import Observations
from rlgen.data.rows import Rows
from rlgen.errors import problem


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One recorded episode of T steps."""

    observations: Observations
    """[T + 1, O], images uint8 [T + 1, ...], or a dictionary of arrays: the last row is the observation after the last
    action."""

    actions: np.ndarray
    """[T, A] in environment scale, as the environment received them."""

    rewards: np.ndarray | None = None
    """[T] task rewards, if known."""

    terminated: bool = False
    """True if the task itself ended the episode (a fall, a goal); False for a time limit or a stopped recording."""


def rows_from_episodes(
    episodes: Sequence[Episode], *, source: str, env_id: str | None = None, metadata: dict[str, Any] | None = None
) -> Rows:
    """Joins episodes of any lengths.

    Args:
        episodes: at least one, each with at least one step.
        source: file or other origin, for error messages.

    Raises:
        InputError: no episode, an empty one, or one whose arrays do not match.
    """
    if not episodes:
        raise problem("at least one episode", f"none in {source}", "record or choose a file that is not empty")
    parts = [_checked(episode, number, source) for number, episode in enumerate(episodes)]
    lengths = np.array([len(part.actions) for part in parts], np.int32)
    last = np.zeros(lengths.sum(), bool)
    last[np.cumsum(lengths) - 1] = True
    terminated = last & np.repeat([part.terminated for part in parts], lengths)
    observations, next_observations = _observations(parts, last, source)
    known = [part.rewards for part in parts if part.rewards is not None]
    with_rewards = len(known) == len(parts)
    return Rows(
        observations=observations,
        actions=_join([part.actions for part in parts], "actions", source),
        next_observations=next_observations,
        rewards=np.concatenate(known) if with_rewards else None,
        terminated=terminated,
        truncated=last & ~terminated,
        episode=np.repeat(np.arange(len(parts), dtype=np.int32), lengths),
        step=np.concatenate([np.arange(length, dtype=np.int32) for length in lengths]),
        episode_returns=_returns(known) if with_rewards else None,
        episode_lengths=lengths,
        env_id=env_id,
        stride=1,
        metadata=dict(metadata or {}),
        source=source,
    )


def episodes_of(rows: Rows) -> list[Episode]:
    """The complete episodes; the inverse of `rows_from_episodes`.

    Raises:
        InputError: if the rows are subsampled.
    """
    rows.require_whole("a list of episodes")
    ends = np.cumsum(rows.episode_lengths)
    parts = [slice(end - length, end) for end, length in zip(ends, rows.episode_lengths, strict=True)]
    return [
        Episode(
            observations=tree.concatenate(
                [
                    tree.take(rows.observations, each),
                    tree.take(rows.next_observations, slice(each.stop - 1, each.stop)),
                ]
            ),
            actions=rows.actions[each],
            rewards=None if rows.rewards is None else rows.rewards[each],
            terminated=bool(rows.terminated[each][-1]),
        )
        for each in parts
    ]


def _observations(parts: Sequence[Episode], last: np.ndarray, source: str) -> tuple[Any, Any]:
    """Observations and next observations of the rows of all episodes. `last` [R]: the last row of each."""
    given: list[Any] = [part.observations for part in parts]
    if all(tree.is_flat(each) for each in given):
        before, after = (
            _join([each[rows] for each in given], "observations", source) for rows in (slice(-1), slice(1, None))
        )
        return before, after
    singles = [tree.each_entry(tree.single, each) for each in given]
    kinds = [tree.described(each) for each in singles]
    odd = next((number for number, kind in enumerate(kinds) if kind != kinds[0]), None)
    if odd is not None:
        raise problem(
            f"observations of one kind, {kinds[0]} as in episode 0",
            f"{kinds[odd]} in episode {odd} of {source}",
            "put only episodes of one environment into one file",
        )
    parts = [tree.take(each, rows) for rows in (slice(-1), slice(-1, None)) for each in singles]
    return tree.joined(parts, np.flatnonzero(last))


def _returns(rewards: Sequence[np.ndarray]) -> np.ndarray:
    """[E] sum of each episode's rewards; validation reports those that are not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.array([each.sum(dtype=np.float64) for each in rewards])


def _checked(episode: Episode, number: int, source: str) -> Episode:
    """The episode with two-dimensional arrays; an error names the episode's number."""
    observations = tree.checked(episode.observations, "observations", source)
    lengths = {len(array) for array in tree.entries(observations).values()}
    actions = matrix(episode.actions, "actions", source)
    rewards = None if episode.rewards is None else column(episode.rewards, "number", 1, "rewards", source)
    terminated = bool(column(episode.terminated, "flag", 0, "terminated", source))
    steps = len(actions)
    if steps == 0 or lengths != {steps + 1} or (rewards is not None and rewards.shape != (steps,)):
        shapes = f"{' or '.join(map(str, sorted(lengths)))} observations and {steps} actions"
        raise problem(
            "episodes of T >= 1 actions, T rewards and T + 1 observations (the final one included)",
            f"{shapes}{'' if rewards is None else f', rewards of shape {list(rewards.shape)}'} "
            f"in episode {number} of {source}",
            "write the file again with the observation after the last action, and leave empty episodes out",
        )
    return Episode(observations=observations, actions=actions, rewards=rewards, terminated=terminated)


def _join(parts: Sequence[np.ndarray], key: str, source: str) -> np.ndarray:
    """Float32 rows of all episodes, which must have the same number of columns."""
    widths = [part.shape[1] for part in parts]
    odd = next((number for number, width in enumerate(widths) if width != widths[0]), None)
    if odd is not None:
        raise problem(
            f"{widths[0]} numbers per row under {key!r}, as in episode 0",
            f"{widths[odd]} in episode {odd} of {source}",
            "put only episodes of one environment into one file",
        )
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 become inf, which validation reports
        return np.concatenate([part.astype(np.float32) for part in parts])
