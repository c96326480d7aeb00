"""Rows from formats with one row per step, most of which lack the observation after the last action; and which episodes
a time limit ended, where a file marks all ends alike."""

import logging
from pathlib import Path

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.columns import column, matrix
from rlgen.data.observations import Observations
from rlgen.data.rows import ENDED_BY_TASK, Rows
from rlgen.errors import problem

log = logging.getLogger("rlgen")


def rows_by_step(
    *,
    observations: Observations,
    actions: np.ndarray,
    terminated: np.ndarray | None,
    last: np.ndarray,
    path: Path,
    next_observations: Observations | None = None,
    rewards: np.ndarray | None = None,
    env_id: str | None = None,
    metadata: dict[str, object] | None = None,
) -> Rows:
    """Rows of columns [R, …] with `terminated` [R] and `last` [R], both bool. `terminated`: None where a file does not
    say which ends are the task's.

    Without `next_observations` the observation after an episode's last action is unknown: that row is dropped, with a
    message in the log. Lengths and returns stay those of the complete episodes, and the metadata note which of them
    the task ended.

    Raises:
        InputError: no row, or columns of different lengths.
    """
    source = str(path)
    seen = tree.checked(observations, "observations", source)
    following = None if next_observations is None else tree.checked(next_observations, "next_observations", source)
    found = {"actions": matrix(actions, "actions", source)}
    if rewards is not None:
        found["rewards"] = column(rewards, "number", 1, "rewards", source)
    named = {"observations": seen, "next_observations": {} if following is None else following}
    parts = {f"{key}/{name}": part for key, each in named.items() for name, part in tree.entries(each).items()}
    given = {key.removesuffix("/"): part for key, part in parts.items()}
    _require_same_length(given | found | {"ends of episodes": last}, source)
    last = np.append(last[:-1], True)  # the recording stopped where the file ends
    lengths = np.diff(np.flatnonzero(last), prepend=-1)
    episode = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    kept = np.ones(len(last), bool)
    noted: dict[str, object] = {}
    fell = np.zeros(len(last), bool) if terminated is None else last & terminated
    if following is None:
        # the last row of an episode needs its true last observation, and the next row belongs to another episode
        following, kept = tree.rolled(seen), ~last
        log.warning(
            "expected the observation after each episode's last action; %s has none: the last row of each of its %d "
            "episodes is dropped%s; add next observations if you still can",
            *(path, len(lengths), "" if terminated is None else ", and only noted which of them the task ended"),
        )
        if terminated is not None:
            noted[ENDED_BY_TASK] = fell[last].tolist()
    known = found.get("rewards")
    now, then = (seen, following) if kept.all() else tree.taken(seen, following, kept)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Rows(
        observations=now,
        actions=found["actions"][kept],
        next_observations=then,
        rewards=None if known is None else known[kept],
        terminated=fell[kept],
        truncated=(last & ~fell)[kept],
        episode=episode[kept],
        step=(np.arange(len(last)) - starts)[kept].astype(np.int32),
        episode_returns=None if known is None else np.bincount(episode, known, len(lengths)),
        episode_lengths=lengths.astype(np.int32),
        env_id=env_id,
        stride=1,
        metadata={"source": path.name, **(metadata or {}), **noted},
        source=source,
    )


def ends_of(lengths: np.ndarray) -> np.ndarray:
    """[sum of lengths] bool: the last step of each episode."""
    last = np.zeros(int(lengths.sum()), bool)
    last[np.cumsum(lengths) - 1] = True
    return last


def _require_same_length(found: dict[str, np.ndarray], source: str) -> None:
    rows = len(found["actions"])
    if rows == 0:
        raise problem("at least one row", f"none in {source}", "record or choose a file that is not empty")
    if any(len(array) != rows for array in found.values()):
        raise problem(
            f"{rows} rows under every key, as of actions",
            f"{', '.join(f'{len(array)} {key}' for key, array in found.items())} in {source}",
            "the file is incomplete: copy or download it again",
        )


def time_limited(
    lengths: np.ndarray, ended: np.ndarray, cut: list[bool | None], time_limit: int | None, path: Path
) -> np.ndarray:
    """[E] bool: episodes that a time limit ended. A guess from the lengths is logged.

    Args:
        lengths: [E] steps.
        ended: [E] bool, the file's own mark of an end.
        cut: whether the file states a time limit for each episode; None where it does not say.
        time_limit: steps after which the environment truncates an episode, None if unknown.
    """
    if time_limit is not None:
        return lengths >= time_limit
    known = [flag for flag in cut if flag is not None]
    if len(known) == len(cut):
        return np.array(known, bool)
    longest = lengths == lengths.max(initial=0)
    guess = longest & (ended.all() and longest.sum() > 1)
    found = f"the {guess.sum()} longest, of {lengths.max()} steps, are" if guess.any() else "none is"
    log.warning(
        "expected separate marks of terminations and time limits; %s marks both alike: of its %d episodes %s taken as "
        "cut by a time limit; to state it yourself: rlgen demos convert --time-limit STEPS (in Python time_limit)",
        *(path, len(lengths), found),
    )
    return guess
