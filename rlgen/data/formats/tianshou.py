"""tianshou's ReplayBuffer as HDF5: `obs, act, rew, terminated, truncated, obs_next` by row, at the top or under
`_meta`, where `save_hdf5` puts them."""

from pathlib import Path

import numpy as np

from rlgen.data.columns import column
from rlgen.data.formats.by_step import rows_by_step
from rlgen.data.formats.hdf5 import HDF5, open_hdf5
from rlgen.data.rows import Rows
from rlgen.errors import problem

NAMES = {"obs": "observations", "act": "actions", "rew": "rewards", "obs_next": "next_observations"}


def is_mine(file: HDF5) -> bool:
    """Whether an open HDF5 file has this layout."""
    return {"obs", "act"} <= file.names() or {"obs", "act"} <= file.names("_meta")


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the rows in the order in which they were stored, oldest first, up to the buffer's size."""
    with open_hdf5(path) as file:
        group = "" if "obs" in file.names() else "_meta/"
        keys = file.names(group or "/")
        if (buffers := file.number_attribute("buffer_num") or 1) > 1:
            raise problem(
                "a ReplayBuffer of one environment",
                f"a buffer of {buffers} in {path}, whose rows alternate between episodes",
                "split it first: ReplayBuffer().update(buffer.buffers[i]) for each",
            )
        size, start = file.number_attribute("_size"), file.number_attribute("_index") or 0
        wanted = ["obs", "act", "terminated", *sorted({"truncated", "rew", "obs_next"} & keys)]
        found = {key: file.numbers(group + key) for key in wanted}
    rows = len(found["act"]) if found["act"].ndim else 0
    if any(array.ndim == 0 or len(array) != rows for array in found.values()):
        got = ", ".join(f"{key} of shape {list(array.shape)}" for key, array in found.items())
        raise problem(f"{rows} rows under every key, as under 'act'", f"{got} in {path}", "write the file again")
    order = _order(rows, rows if size is None else size, start)
    flags = {
        key: column(found[key], "flag", 1, key, str(path))[order] for key in ("terminated", "truncated") if key in found
    }
    columns = {ours: found[key][order] for key, ours in NAMES.items() if key in found}
    last = np.logical_or.reduce(list(flags.values()))
    return rows_by_step(**columns, terminated=flags["terminated"], last=last, path=path)


def _order(rows: int, size: int, start: int) -> np.ndarray:
    """Indices of the `size` filled rows, from the oldest: a full buffer continues at its start."""
    size = min(max(size, 0), rows)
    filled = np.arange(size)
    return np.roll(filled, -start) if size == rows and 0 <= start < rows else filled
