"""An .npz of whole episodes: `obs` [sum(T + 1), O] with each final observation, `acts` [sum T, A], `rews`,
`lengths` [E], `terminated` [E] (False: a time limit), `env_id`."""

from pathlib import Path

import numpy as np

from rlgen.data.columns import column, matrix, text
from rlgen.data.episode import Episode, rows_from_episodes
from rlgen.data.formats.npz import read_npz
from rlgen.data.rows import Rows
from rlgen.errors import problem

KEYS = {"obs", "acts", "lengths", "terminated"}


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the file; `time_limit` is not needed, because the file distinguishes both kinds of end."""
    found = read_npz(path, KEYS, ("rews", "env_id"))
    episodes = split(found, found["lengths"], found["terminated"], "terminated", path)
    env_id = text(found["env_id"], "env_id", str(path)) if "env_id" in found else None
    return rows_from_episodes(episodes, source=str(path), env_id=env_id, metadata={"source": path.name})


def split(found: dict[str, np.ndarray], lengths: np.ndarray, fell: np.ndarray, key: str, path: Path) -> list[Episode]:
    """Cuts joined `obs`, `acts` and `rews` into episodes of the given lengths; `key` is the name of `fell` [E].

    Raises:
        InputError: values of a wrong type, or lengths that do not add up to the number of rows.
    """
    source = str(path)
    lengths = column(lengths, "count", 1, "lengths", source).astype(np.int64)
    fell = column(fell, "flag", 1, key, source)
    observations, actions = matrix(found["obs"], "obs", source), matrix(found["acts"], "acts", source)
    rewards = column(found["rews"], "number", 1, "rews", source) if "rews" in found else None
    steps, episodes = int(lengths.sum()), len(lengths)
    counts = {"acts": (len(actions), steps), "obs": (len(observations), steps + episodes), key: (len(fell), episodes)}
    if rewards is not None:
        counts["rews"] = (len(rewards), steps)
    for name, (got, expected) in counts.items():
        if got != expected:
            raise problem(
                f"{expected} rows under {name!r} ({episodes} episodes of {steps} steps, each with a final observation)",
                f"{got} in {path}",
                "the file is incomplete or was put together wrongly: write it again",
            )
    ends = np.cumsum(lengths)
    return [
        Episode(
            observations=observations[end - length + number : end + number + 1],
            actions=actions[end - length : end],
            rewards=None if rewards is None else rewards[end - length : end],
            terminated=bool(flag),
        )
        for number, (length, end, flag) in enumerate(zip(lengths, ends, fell, strict=True))
    ]
