"""One recorded episode, and the conversion between episodes and rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlgen.data.columns import column, matrix
from rlgen.data.rows import Rows
from rlgen.errors import problem


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One recorded episode of T steps."""

    observations: np.ndarray
    """[T + 1, O]: the last one is the observation after the last action."""

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
    known = [part.rewards for part in parts if part.rewards is not None]
    with_rewards = len(known) == len(parts)
    return Rows(
        observations=_join([part.observations[:-1] for part in parts], "observations", source),
        actions=_join([part.actions for part in parts], "actions", source),
        next_observations=_join([part.observations[1:] for part in parts], "observations", source),
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
            observations=np.concatenate([rows.observations[each], rows.next_observations[each][-1:]]),
            actions=rows.actions[each],
            rewards=None if rows.rewards is None else rows.rewards[each],
            terminated=bool(rows.terminated[each][-1]),
        )
        for each in parts
    ]


def _returns(rewards: Sequence[np.ndarray]) -> np.ndarray:
    """[E] sum of each episode's rewards; validation reports those that are not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.array([each.sum(dtype=np.float64) for each in rewards])


def _checked(episode: Episode, number: int, source: str) -> Episode:
    """The episode with two-dimensional arrays; an error names the episode's number."""
    observations = matrix(episode.observations, "observations", source)
    actions = matrix(episode.actions, "actions", source)
    rewards = None if episode.rewards is None else column(episode.rewards, "number", 1, "rewards", source)
    terminated = bool(column(episode.terminated, "flag", 0, "terminated", source))
    steps = len(actions)
    if steps == 0 or len(observations) != steps + 1 or (rewards is not None and rewards.shape != (steps,)):
        shapes = f"{len(observations)} observations and {steps} actions"
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
