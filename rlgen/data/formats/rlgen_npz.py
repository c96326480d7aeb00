"""rlgen's own file: one compressed .npz of plain arrays, described here for reading it without rlgen.

format                   "rlgen-demonstrations"; format_version: 1, or 2 with images or dictionaries
observations [R, O], actions [R, A] (optional), rewards [R] (optional)                       float32
terminated [R], truncated [R]                                                                bool
episode [R], step [R], episode_lengths [E]; stride                                           int32
episode_returns [E] (optional)                                                               float32
next_is_following_row [R] bool: the next observation is the following row's observation;
next_observations        the next observations of the other rows, in order (all rows if the mask is missing)
env_id                   string, empty if unknown
metadata                 string, JSON object

Images and dictionaries (version 2): `observations` is uint8 [F, ...], or each entry of the dictionary has an array
`observations/NAME` [F, ...]: float32, uint8 or int64. F >= R: the first R rows are the observations, and
next_index [R]           the next observation's row in these arrays; in place of next_observations and its mask
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.columns import column, matrix, text
from rlgen.data.formats.npz import json_object, npz_keys, read_npz
from rlgen.data.rows import Rows, unknown_actions
from rlgen.errors import problem
from rlgen.system.files import atomic_write

FORMAT = "rlgen-demonstrations"
VERSION = 2
NEXT_INDEX = "next_index"
KEYS = {"format", "format_version", "terminated", "truncated"}
KEYS |= {"episode", "step", "episode_lengths", "stride", "env_id", "metadata"}
FLAT = ("next_observations", "next_is_following_row")
OPTIONAL = ("actions", "rewards", "episode_returns")
OBSERVATIONS = "observations"


def write(demonstrations: Rows, path: Path) -> None:
    """Writes atomically; an existing file is replaced. The folder must exist."""
    flat = tree.is_flat(demonstrations.observations)
    arrays = {
        "format": np.array(FORMAT),
        "format_version": np.array(1 if flat else VERSION, np.int32),
        **(_flat_arrays(demonstrations) if flat else _store_arrays(demonstrations)),
        "stride": np.array(demonstrations.stride, np.int32),
        "env_id": np.array(demonstrations.env_id or ""),
        "metadata": np.array(json.dumps(demonstrations.metadata)),
    }
    for name in (*sorted(KEYS | {OBSERVATIONS} if flat else KEYS), *OPTIONAL):
        if name not in arrays and getattr(demonstrations, name, None) is not None:
            arrays[name] = getattr(demonstrations, name)
    compressed = io.BytesIO()
    np.savez_compressed(compressed, **arrays)  # type: ignore[arg-type]
    atomic_write(path, compressed.getvalue())


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads a file written by `write`; `time_limit` is not needed, the file distinguishes both kinds of end."""
    keys = npz_keys(path)
    parts = [key for key in keys if key == OBSERVATIONS or key.startswith(f"{OBSERVATIONS}/")] or [OBSERVATIONS]
    shared = NEXT_INDEX in keys
    found = read_npz(path, [*KEYS, *parts, NEXT_INDEX if shared else FLAT[0]], (*OPTIONAL, FLAT[1]))
    source = str(path)
    version, stride = (int(column(found[key], "count", 0, key, source)) for key in ("format_version", "stride"))
    name = text(found["format"], "format", source)
    if name != FORMAT or version > VERSION:
        raise problem(
            f"{FORMAT} of version {VERSION} or older",
            f"{name} of version {version} in {path}",
            "update rlgen, or write the file with this version",
        )
    observations, next_observations = (_stored if shared else _flat)(found, path)
    metadata = json_object(text(found["metadata"], "metadata", source), "metadata", path)
    return Rows(
        observations=observations,
        actions=found["actions"] if "actions" in found else unknown_actions(len(found["episode"])),
        next_observations=next_observations,
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


def _flat_arrays(demonstrations: Rows) -> dict[str, np.ndarray]:
    """Next observations of vectors, without those that equal the next row's observation; halves the file."""
    observations: Any = demonstrations.observations
    following: Any = demonstrations.next_observations
    follows = np.zeros(len(demonstrations), bool)
    after = np.ascontiguousarray(following[:-1]).view(np.uint32)
    before = np.ascontiguousarray(observations[1:]).view(np.uint32)
    follows[:-1] = (after == before).all(axis=1)
    return {FLAT[1]: follows, FLAT[0]: following[~follows]}


def _store_arrays(demonstrations: Rows) -> dict[str, np.ndarray]:
    """The stores of all entries, and the common index of the next observations."""
    parts = tree.entries(demonstrations.next_observations)
    stores = {f"{OBSERVATIONS}/{name}".rstrip("/"): rows.store for name, rows in parts.items()}
    return {**stores, NEXT_INDEX: next(iter(parts.values())).index}


def _stored(found: dict[str, np.ndarray], path: Path) -> tuple[Any, Any]:
    """The inverse of `_store_arrays`."""
    parts = {key.partition("/")[2]: array for key, array in found.items() if key.partition("/")[0] == OBSERVATIONS}
    store = tree.checked(tree.of_entries(parts), OBSERVATIONS, str(path))
    index = column(found[NEXT_INDEX], "count", 1, NEXT_INDEX, str(path)).astype(np.int64)
    lengths = {len(array) for array in tree.entries(store).values()}
    if len(lengths) > 1 or not len(index) <= min(lengths) or index.max(initial=0) >= min(lengths):
        raise problem(
            f"rows of 'observations' as many as {NEXT_INDEX!r} names, in every entry",
            f"{tree.described(store)} of {sorted(lengths)} rows and {len(index)} indices in {path}",
            "the file was put together wrongly: write it again",
        )
    return tree.of_store(tree.each_entry(tree.single, store), index)


def _flat(found: dict[str, np.ndarray], path: Path) -> tuple[Any, Any]:
    """Observations, and next observations with those that `next_is_following_row` left out."""
    source = str(path)
    stored, observations = (matrix(found[key], key, source) for key in (FLAT[0], OBSERVATIONS))
    if FLAT[1] not in found:
        return observations, stored
    follows = column(found[FLAT[1]], "flag", 1, FLAT[1], source)
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
    return observations, rebuilt
