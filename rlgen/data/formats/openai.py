"""Expert data of OpenAI's programs and of Stable-Baselines 2, which lacks the observation after the last action.

- openai/imitation, the GAIL paper's code, as HDF5: `obs_B_T_Do [E, T, O]`, `a_B_T_Da [E, T, A]`, `r_B_T [E, T]` and
  `len_B [E]`, the number of steps of each episode.
- baselines, as .npz: `obs [E, T, O], acs [E, T, A], rews [E, T], ep_rets [E]`.
- Stable-Baselines 2, as .npz: `obs [R, O], actions [R, A], rewards [R], episode_returns [E], episode_starts [R]`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data.columns import column
from rlgen.data.formats.by_step import ends_of, rows_by_step
from rlgen.data.formats.hdf5 import open_hdf5
from rlgen.data.formats.npz import npz_keys, read_npz
from rlgen.data.rows import Rows
from rlgen.errors import problem

IMITATION = {"obs_B_T_Do", "a_B_T_Da"}


def is_imitation(keys: set[str]) -> bool:
    """Whether a file with these top-level names has this layout."""
    return keys >= IMITATION


def read_imitation(path: Path, time_limit: int | None = None) -> Rows:
    """Reads the steps of each episode. The file lacks the observation after an episode's last action."""
    with open_hdf5(path) as file:
        found = {key: file.numbers(key) for key in (*sorted(IMITATION), "len_B")}
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
    return rows_by_step(**flat, terminated=None, last=last, path=path)


BASELINES = {"obs", "acs", "ep_rets"}
STABLE_BASELINES = {"obs", "actions", "episode_starts"}


def read_baselines(path: Path, time_limit: int | None = None) -> Rows:
    """Reads either layout. The files lack the observation after an episode's last action."""
    return _stable_baselines(path) if npz_keys(path) >= STABLE_BASELINES else _baselines(path)


def _baselines(path: Path) -> Rows:
    found = read_npz(path, BASELINES, ("rews",))
    returns = column(found["ep_rets"], "number", 1, "ep_rets", str(path))
    columns = {"observations": found["obs"], "actions": found["acs"]}
    if "rews" in found:
        columns["rewards"] = found["rews"]
    if found["acs"].ndim < 2:
        got = f"shape {list(found['acs'].shape)} in {path}"
        raise problem("episodes of one length, [E, T, A], under 'acs'", got, "save episodes apart")
    episodes, steps = found["acs"].shape[:2]
    rows = padded_rows(columns, np.full(episodes, steps), path)
    return _with_returns(rows, returns, path)


def _stable_baselines(path: Path) -> Rows:
    found = read_npz(path, STABLE_BASELINES, ("rewards", "episode_returns"))
    starts = column(found["episode_starts"], "flag", 1, "episode_starts", str(path))
    if not len(starts) or not starts[0]:
        raise problem("a start of an episode in the first row", f"none in {path}", "write the file again")
    last = np.append(starts[1:], True)
    rows = rows_by_step(
        observations=found["obs"],
        actions=found["actions"],
        rewards=found.get("rewards"),
        terminated=None,
        last=last,
        path=path,
    )
    if "episode_returns" not in found:
        return rows
    return _with_returns(rows, column(found["episode_returns"], "number", 1, "episode_returns", str(path)), path)


def _with_returns(rows: Rows, returns: np.ndarray, path: Path) -> Rows:
    """Adds the file's own returns, which must match the rewards if the file has both."""
    sums = rows.episode_returns
    if len(returns) != len(rows.episode_lengths):
        got = f"{len(returns)} in {path}"
        raise problem(f"a return for each of {len(rows.episode_lengths)} episodes", got, "write the file again")
    if sums is not None and not np.allclose(sums, returns, rtol=1e-3, atol=1e-3 * float(abs(sums).max(initial=0))):
        number = int(np.argmax(abs(sums - returns)))
        raise problem(
            f"the sum of its rewards, {sums[number]:g}, as the return of episode {number}",
            f"{returns[number]:g} in {path}",
            "leave one of the two out: they measure different rewards (scaled ones, for instance)",
        )
    return replace(rows, episode_returns=returns)
