"""Two .npz files of plain arrays.

- Whole episodes: `obs` [sum(T + 1), O] with each final observation, `acts` [sum T, A], `rews`, `lengths` [E],
  `terminated` [E] (False: a time limit), `env_id`.
- Subsampled pairs, the GAIL paper's protocol: `obs, acts, next_obs, terminated` by row, `traj` (episode number), `t`
  (time step), `returns` and `lengths` [E], `stride`, `env_id`.

Both may lack `acts`, such as states from motion capture: actions are then unknown.
"""

from pathlib import Path

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.columns import column, matrix, text
from rlgen.data.episode import Episode, rows_from_episodes
from rlgen.data.formats.npz import read_npz
from rlgen.data.rows import Rows, unknown_actions
from rlgen.errors import problem

EPISODES = {"obs", "lengths", "terminated"}


def read_episodes(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the file; `time_limit` is not needed, because the file distinguishes both kinds of end."""
    found = read_npz(path, EPISODES, ("acts", "rews", "env_id"))
    if "acts" not in found:
        steps = column(found["lengths"], "count", 1, "lengths", str(path)).sum(dtype=np.int64)
        if not 0 <= steps <= len(found["obs"]):
            raise problem(f"lengths of {len(found['obs'])} rows or fewer", f"{steps} in {path}", "write the file again")
        found["acts"] = unknown_actions(int(steps))
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
    observations, actions = tree.checked(found["obs"], "obs", source), matrix(found["acts"], "acts", source)
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


PAIRS = {"obs", "next_obs", "terminated", "traj", "t", "lengths", "stride"}


def read_pairs(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the file. An episode whose last step is not terminated was cut by the time limit."""
    found = read_npz(path, PAIRS, ("acts", "returns", "env_id", "rews"))
    source = str(path)
    lengths, episode, step = (column(found[key], "count", 1, key, source) for key in ("lengths", "traj", "t"))
    terminated = column(found["terminated"], "flag", 1, "terminated", source)
    if episode.size and episode.max() >= len(lengths):
        raise problem(
            f"episode numbers below {len(lengths)} under 'traj'",
            f"{episode.min()} to {episode.max()} in {path}",
            "the file was put together wrongly: write it again",
        )
    if not len(episode) == len(step) == len(terminated):
        raise problem(
            f"{len(episode)} rows under every key, as under 'traj'",
            f"{len(step)} under 't', {len(terminated)} under 'terminated' in {path}",
            "the file was put together wrongly: write it again",
        )
    return Rows(
        observations=tree.checked(found["obs"], "obs", source),
        actions=matrix(found["acts"], "acts", source) if "acts" in found else unknown_actions(len(episode)),
        next_observations=tree.checked(found["next_obs"], "next_obs", source),
        rewards=found.get("rews"),
        terminated=terminated,
        truncated=(step == lengths[episode] - 1) & ~terminated,
        episode=episode,
        step=step,
        episode_returns=found.get("returns"),
        episode_lengths=lengths,
        env_id=text(found["env_id"], "env_id", source) if "env_id" in found else None,
        stride=int(column(found["stride"], "count", 0, "stride", source)),
        metadata={"source": path.name},
        source=source,
    )
