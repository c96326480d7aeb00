"""An .npz of whole episodes: `obs` [sum(T + 1), O] with each final observation, `acts` [sum T, A], `rews`,
`lengths` [E], `terminated` [E] (False: a time limit), `env_id`."""

from pathlib import Path

import numpy as np

from rlgen.data.formats.npz import read_npz
from rlgen.data.rows import Episode, Rows, rows_from_episodes
from rlgen.errors import problem

KEYS = {"obs", "acts", "lengths", "terminated"}


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the file; `time_limit` is not needed, the file keeps both kinds of end."""
    found = read_npz(path, KEYS, ("rews", "env_id"))
    episodes = split(found, found["lengths"], found["terminated"], path)
    env_id = str(found["env_id"]) if "env_id" in found else None
    return rows_from_episodes(episodes, source=str(path), env_id=env_id, metadata={"source": path.name})


def split(found: dict[str, np.ndarray], lengths: np.ndarray, terminated: np.ndarray, path: Path) -> list[Episode]:
    """Cuts joined `obs`, `acts` and `rews` into episodes of the given lengths.

    Raises:
        InputError: lengths that do not add up to the rows that are there.
    """
    rewards = found.get("rews")
    steps, episodes = int(lengths.sum()), len(lengths)
    counts = {"acts": (len(found["acts"]), steps), "obs": (len(found["obs"]), steps + episodes)}
    counts["terminated"] = (len(terminated), episodes)
    if rewards is not None:
        counts["rews"] = (len(rewards), steps)
    for key, (came, expected) in counts.items():
        if came != expected:
            raise problem(
                f"{expected} rows under {key!r} ({episodes} episodes of {steps} steps, each with a final observation)",
                f"{came} in {path}",
                "the file is incomplete or was put together wrongly: write it again",
            )
    ends = np.cumsum(lengths)
    starts = ends - lengths
    return [
        Episode(
            observations=found["obs"][start + number : end + number + 1],
            actions=found["acts"][start:end],
            rewards=None if rewards is None else rewards[start:end],
            terminated=bool(fell),
        )
        for number, (start, end, fell) in enumerate(zip(starts, ends, terminated, strict=True))
    ]
