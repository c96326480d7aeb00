"""D4RL-style HDF5: `observations, actions, rewards, terminals, timeouts` by row, sometimes `next_observations`."""

import logging
from pathlib import Path

import numpy as np

from rlgen.data.formats.hdf5 import dataset, open_hdf5
from rlgen.data.rows import Rows, matrix
from rlgen.errors import problem

REQUIRED = ("observations", "actions", "terminals")
OPTIONAL = ("rewards", "next_observations", "timeouts")

log = logging.getLogger("rlgen")


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the rows and finds the episodes.

    Without `next_observations` the observation after an episode's last action is not in the file: that row is dropped.
    Without `timeouts`, `time_limit` (steps) says where episodes end that did not terminate.
    """
    found = _columns(path)
    terminated = found["terminals"].reshape(-1).astype(bool)
    last = terminated | _timeouts(found.get("timeouts"), terminated, time_limit, path)
    last[-1] = True  # where the file stops, the recording stopped
    lengths = np.diff(np.flatnonzero(last), prepend=-1).astype(np.int32)
    episode = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    rewards = found["rewards"].reshape(-1) if "rewards" in found else None
    following = found.get("next_observations", np.roll(found["observations"], -1, axis=0))
    # the episode's end needs its true last observation, the next row belongs to another episode
    kept = np.ones(len(last), bool) if "next_observations" in found else ~last
    if not kept.all():
        log.warning(
            "expected next_observations; %s has none: the last row of each of its %d episodes is dropped, and with it "
            "the mark of a fall or time limit; add the key if you still can",
            *(path, len(lengths)),
        )
    return Rows(
        observations=matrix(found["observations"], "observations", str(path))[kept],
        actions=matrix(found["actions"], "actions", str(path))[kept],
        next_observations=matrix(following, "next_observations", str(path))[kept],
        rewards=None if rewards is None else rewards[kept],
        terminated=terminated[kept],
        truncated=(last & ~terminated)[kept],
        episode=episode[kept],
        step=np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])[kept],
        episode_returns=None if rewards is None else np.bincount(episode, rewards, len(lengths)),
        episode_lengths=lengths,
        env_id=None,
        stride=1,
        metadata={"source": path.name},
        source=str(path),
    )


def _columns(path: Path) -> dict[str, np.ndarray]:
    """The columns that are there, all of one length."""
    with open_hdf5(path) as file:
        keys = (*REQUIRED, *(key for key in OPTIONAL if key in file))
        found = {key: dataset(file, key, path) for key in keys}
    rows = {key: array.shape[0] if array.ndim else 0 for key, array in found.items()}
    if rows["terminals"] == 0:
        raise problem("at least one row", f"none in {path}", "record or choose a file that is not empty")
    if len(set(rows.values())) > 1:
        raise problem(
            f"{rows['terminals']} rows under every key, as under 'terminals'",
            f"{', '.join(f'{count} {key}' for key, count in rows.items())} in {path}",
            "the file is incomplete: copy or download it again",
        )
    return found


def _timeouts(timeouts: np.ndarray | None, terminated: np.ndarray, time_limit: int | None, path: Path) -> np.ndarray:
    """[R] bool: rows that a time limit ended, from the file or counted from `time_limit`."""
    if timeouts is not None:
        return timeouts.reshape(-1).astype(bool)
    if time_limit is None:
        raise problem(
            "the key 'timeouts', or the environment's time limit",
            f"{path} without it",
            f"say it: rlgen demos convert {path} ours.npz --time-limit 1000 (steps, as on Gymnasium's MuJoCo tasks; in "
            "Python time_limit)",
        )
    found = np.zeros(len(terminated), bool)
    start = 0
    for row, fell in enumerate(terminated):
        found[row] = not fell and row - start + 1 == time_limit
        start = row + 1 if fell or found[row] else start
    return found
