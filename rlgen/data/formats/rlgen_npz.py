"""rlgen's own file: one compressed .npz of plain arrays, described here for reading it without rlgen.

format                   "rlgen-demonstrations"; format_version: 1
observations [R, O], actions [R, A], rewards [R] (optional)                                  float32
terminated [R], truncated [R]                                                                bool
episode [R], step [R], episode_lengths [E]; stride                                           int32
episode_returns [E] (optional)                                                               float32
next_is_following_row [R] bool: the next observation is the following row's observation;
next_observations        the next observations of the other rows, in order (all rows if the mask is missing)
env_id                   string, empty if unknown
metadata                 string, JSON object
"""

import io
import json
from pathlib import Path

import numpy as np

from rlgen.data.columns import column, matrix, text
from rlgen.data.formats.npz import json_object, read_npz
from rlgen.data.rows import Rows
from rlgen.errors import problem
from rlgen.system.files import atomic_write

FORMAT = "rlgen-demonstrations"
VERSION = 1
KEYS = {"format", "format_version", "observations", "actions", "next_observations", "terminated", "truncated"}
KEYS |= {"episode", "step", "episode_lengths", "stride", "env_id", "metadata"}
OPTIONAL = ("rewards", "episode_returns", "next_is_following_row")


def write(demonstrations: Rows, path: Path) -> None:
    """Writes atomically; an existing file is replaced. The folder must exist."""
    follows = _next_is_following_row(demonstrations)
    arrays = {
        "format": np.array(FORMAT),
        "format_version": np.array(VERSION, np.int32),
        "next_is_following_row": follows,
        "next_observations": demonstrations.next_observations[~follows],
        "stride": np.array(demonstrations.stride, np.int32),
        "env_id": np.array(demonstrations.env_id or ""),
        "metadata": np.array(json.dumps(demonstrations.metadata)),
    }
    for name in (*sorted(KEYS), *OPTIONAL):
        if name not in arrays and getattr(demonstrations, name, None) is not None:
            arrays[name] = getattr(demonstrations, name)
    compressed = io.BytesIO()
    np.savez_compressed(compressed, **arrays)  # type: ignore[arg-type]
    atomic_write(path, compressed.getvalue())


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads a file written by `write`; `time_limit` is not needed, the file distinguishes both kinds of end."""
    found = read_npz(path, KEYS, OPTIONAL)
    source = str(path)
    version, stride = (int(column(found[key], "count", 0, key, source)) for key in ("format_version", "stride"))
    name = text(found["format"], "format", source)
    if name != FORMAT or version > VERSION:
        raise problem(
            f"{FORMAT} of version {VERSION} or older",
            f"{name} of version {version} in {path}",
            "update rlgen, or write the file with this version",
        )
    metadata = json_object(text(found["metadata"], "metadata", source), "metadata", path)
    return Rows(
        observations=found["observations"],
        actions=found["actions"],
        next_observations=_next_observations(found, path),
        rewards=found.get("rewards"),
        terminated=found["terminated"],
        truncated=found["truncated"],
        episode=found["episode"],
        step=found["step"],
        episode_returns=found.get("episode_returns"),
        episode_lengths=found["episode_lengths"],
        env_id=text(found["env_id"], "env_id", source) or None,
        stride=stride,
        metadata=metadata,
        source=source,
    )


def _next_is_following_row(demonstrations: Rows) -> np.ndarray:
    """[R] bool: rows whose next observation equals the next row's observation bit for bit; halves the file."""
    follows = np.zeros(len(demonstrations), bool)
    after = np.ascontiguousarray(demonstrations.next_observations[:-1]).view(np.uint32)
    before = np.ascontiguousarray(demonstrations.observations[1:]).view(np.uint32)
    follows[:-1] = (after == before).all(axis=1)
    return follows


def _next_observations(found: dict[str, np.ndarray], path: Path) -> np.ndarray:
    source = str(path)
    stored, observations = (matrix(found[key], key, source) for key in ("next_observations", "observations"))
    if "next_is_following_row" not in found:
        return stored
    follows = column(found["next_is_following_row"], "flag", 1, "next_is_following_row", source)
    fits = len(follows) == len(observations) and not follows[-1:].any() and (~follows).sum() == len(stored)
    if not fits or stored.shape[1] != observations.shape[1]:
        raise problem(
            "as many 'next_observations' as 'next_is_following_row' leaves open",
            f"shape {list(stored.shape)} of them in {path}",
            "the file was put together wrongly: write it again",
        )
    rebuilt = np.empty_like(observations)
    rebuilt[:-1] = observations[1:]
    rebuilt[~follows] = stored
    return rebuilt
