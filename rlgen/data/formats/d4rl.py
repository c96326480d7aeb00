"""D4RL's layout of HDF5: `observations, actions, rewards, terminals, timeouts` by row, maybe `next_observations`.

Images and dictionaries (a group of arrays) have `final_observations` instead, the observation after the last action of
each episode, so that no observation is stored twice.
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.columns import column
from rlgen.data.formats.by_step import rows_by_step
from rlgen.data.formats.hdf5 import HDF5, open_hdf5
from rlgen.data.formats.npz import json_object
from rlgen.data.rows import Rows
from rlgen.errors import problem
from rlgen.system.files import atomic_write

FINALS = "final_observations"
WRITTEN = {"terminated": "terminals", "truncated": "timeouts"}


def is_mine(keys: set[str]) -> bool:
    """Whether a file with these top-level names has this layout."""
    return "observations" in keys and bool(keys & {"actions", "terminals", "timeouts"})


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the rows and finds the episodes.

    Without `next_observations` the file lacks the observation after an episode's last action: that row is dropped.
    Without `timeouts`, episodes that did not terminate end after `time_limit` steps.
    """
    with open_hdf5(path) as file:
        keys = file.names()
        found = {key: file.numbers(key) for key in ("actions", "terminals")}
        found |= {key: file.numbers(key) for key in ("rewards", "timeouts") if key in keys}
        found |= {key: file.tree(key) for key in ("observations", "next_observations", FINALS) if key in keys}
        env_id, metadata = _described(file)
    terminated = column(found["terminals"], "flag", 1, "terminals", str(path))
    if "timeouts" in found:
        timeouts = column(found["timeouts"], "flag", 1, "timeouts", str(path))
    else:
        timeouts = _counted(terminated, time_limit, path)
    if len(timeouts) != len(terminated):
        got = f"{len(timeouts)} timeouts in {path}"
        raise problem(f"{len(terminated)} timeouts, as many as terminals", got, "write the file again")
    last = terminated | timeouts
    observations, next_observations = found["observations"], found.get("next_observations")
    if FINALS in found and next_observations is None:
        observations, next_observations = _with_finals(observations, found[FINALS], last, path)
    return rows_by_step(
        observations=observations,
        actions=found["actions"],
        next_observations=next_observations,
        rewards=found.get("rewards"),
        terminated=terminated,
        last=last,
        path=path,
        env_id=env_id,
        metadata=metadata,
    )


def write(demonstrations: Rows, path: Path) -> None:
    """Writes whole episodes atomically; an existing file is replaced. The environment's id and the metadata become
    attributes, which other readers ignore.

    Raises:
        InputError: h5py is missing, or the demonstrations are subsampled.
    """
    demonstrations.require_whole("D4RL's HDF5")
    try:
        import h5py
    except ImportError as error:
        raise problem("the package h5py, which writes HDF5", "a Python without it", "pip install h5py") from error
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for key, array in _arrays(demonstrations):
            file.create_dataset(key, data=array, compression="gzip")
        file.attrs["env_id"] = demonstrations.env_id or ""
        file.attrs["metadata"] = json.dumps(demonstrations.metadata)
    atomic_write(path, content.getvalue())


def _arrays(demonstrations: Rows) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of the file by key."""
    for name in ("actions", "rewards", "terminated", "truncated"):
        if getattr(demonstrations, name) is not None:
            yield WRITTEN.get(name, name), getattr(demonstrations, name)
    seen, following = demonstrations.observations, demonstrations.next_observations
    flat, last = tree.is_flat(seen), np.cumsum(demonstrations.episode_lengths) - 1
    second = {"next_observations": following} if flat else {FINALS: tree.take(following, last)}
    for key, values in ({"observations": seen} | second).items():
        for name, array in tree.entries(values).items():
            yield f"{key}/{name}" if name else key, array


def _with_finals(observations: Any, finals: Any, last: np.ndarray, path: Path) -> tuple[Any, Any]:
    """Observations and next observations, given the final observations [E] of the episodes, which end where `last`."""
    last = np.append(last[:-1], True)  # the recording stopped where the file ends
    seen, ends = (
        tree.checked(each, key, str(path)) for each, key in ((observations, "observations"), (finals, FINALS))
    )
    if tree.shapes(seen) != tree.shapes(ends) or tree.count(ends) != last.sum():
        got = f"{tree.count(ends)} of {tree.described(ends)} in {path}"
        expected = f"{last.sum()} final observations of {tree.described(seen)}, one for each end of an episode"
        raise problem(expected, got, "write the file again")
    return tree.following(seen, np.flatnonzero(last), ends)


def _described(file: HDF5) -> tuple[str | None, dict[str, object]]:
    """The environment's id and the metadata that `write` stored; nothing for files from other programs."""
    env_id, noted = file.attribute("env_id"), file.attribute("metadata")
    return env_id or None, {} if noted is None else json_object(noted, "metadata", file.path)


def _counted(terminated: np.ndarray, time_limit: int | None, path: Path) -> np.ndarray:
    """[R] bool: rows that a time limit ended, counted from `time_limit`."""
    if time_limit is None:
        raise problem(
            "the key 'timeouts', or the environment's time limit",
            f"{path} without it",
            f"give it: rlgen demos convert {path} ours.npz --time-limit 1000 (steps, as for Gymnasium's MuJoCo; in "
            "Python time_limit)",
        )
    found = np.zeros(len(terminated), bool)
    start = 0
    for row, fell in enumerate(terminated):
        found[row] = not fell and row - start + 1 == time_limit
        start = row + 1 if fell or found[row] else start
    return found
