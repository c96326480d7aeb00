"""HDF5 of openai/imitation, the GAIL paper's code: `obs_B_T_Do [E, T, O]`, `a_B_T_Da [E, T, A]`, `r_B_T [E, T]` and
`len_B [E]`, the number of steps of each episode."""

from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data.columns import column
from rlgen.data.formats.by_step import ends_of, rows_by_step
from rlgen.data.formats.hdf5 import open_hdf5
from rlgen.data.rows import Rows
from rlgen.errors import problem

KEYS = {"obs_B_T_Do", "a_B_T_Da"}


def is_mine(keys: set[str]) -> bool:
    """Whether a file with these top-level names has this layout."""
    return keys >= KEYS


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the steps of each episode. The file lacks the observation after an episode's last action."""
    with open_hdf5(path) as file:
        found = {key: file.numbers(key) for key in (*sorted(KEYS), "len_B")}
        rewards = file.numbers("r_B_T") if "r_B_T" in file.names() else None
    lengths = column(found["len_B"], "count", 1, "len_B", str(path)).astype(np.int64)
    columns = {"observations": found["obs_B_T_Do"], "actions": found["a_B_T_Da"]}
    if rewards is not None:
        columns["rewards"] = rewards
    return padded_rows(columns, lengths, path)


def padded_rows(columns: dict[str, np.ndarray], lengths: np.ndarray, path: Path) -> Rows:
    """Rows of columns [E, T, …] in which each episode fills the first `lengths` [E]."""
    shape = columns["actions"].shape[:2]
    for key, array in columns.items():
        if array.ndim < 2 or array.shape[:2] != shape or (array.ndim > 2 and key == "rewards"):
            got = f"shape {list(array.shape)} of {key} in {path}"
            raise problem(f"{list(shape)} episodes and steps under every key, as of actions", got, "copy it again")
    if len(lengths) != shape[0] or (lengths < 1).any() or (lengths > shape[1]).any():
        got = f"{len(lengths)} of {lengths.min(initial=shape[1])} to {lengths.max(initial=0)} in {path}"
        raise problem(f"{shape[0]} lengths of 1 to {shape[1]} steps", got, "write the file again")
    filled = np.arange(shape[1]) < lengths[:, None]
    flat: dict[str, Any] = {key: array[filled] for key, array in columns.items()}
    last = ends_of(lengths)
    return rows_by_step(**flat, terminated=np.zeros(len(last), bool), last=last, path=path)
