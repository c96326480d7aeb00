"""robomimic's HDF5 (robosuite, MimicGen, LIBERO, Isaac Lab's Mimic): `data/demo_i` with `obs/*`, `actions`, `dones`,
sometimes `next_obs/*` and `rewards`."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data.columns import column, matrix
from rlgen.data.formats.by_step import ends_of, rows_by_step, time_limited
from rlgen.data.formats.hdf5 import HDF5, open_hdf5
from rlgen.data.formats.npz import json_object
from rlgen.data.rows import Rows
from rlgen.errors import InputError, problem

DEMO = re.compile(r"demo_\d+")
GYM = 2
"""robomimic's EnvType.GYM_TYPE: only for it is the environment's name a Gymnasium id."""


def is_mine(file: HDF5) -> bool:
    """Whether an open HDF5 file has this layout."""
    return any(DEMO.fullmatch(name) for name in file.names("data"))


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads all episodes; the observation joins every key under `obs`, in the order of their names.

    `dones` marks the end of an episode, by success or time limit: `time_limit`, or the lengths, distinguish them.
    """
    with open_hdf5(path) as file:
        names = sorted((name for name in file.names("data") if DEMO.fullmatch(name)), key=lambda name: int(name[5:]))
        if not names:
            raise problem("episodes data/demo_0 and so on", f"none in {path}", "choose a file that is not empty")
        demos = [_demo(file, f"data/{name}") for name in names]
        keys = sorted(file.names(f"data/{names[0]}/obs"))
        env_id, metadata = _environment(file)
    lengths = np.array([len(demo["actions"]) for demo in demos], np.int64)
    if (lengths == 0).any():
        raise problem(
            "at least one step in every episode",
            f"none in {names[int(np.argmin(lengths))]} of {path}",
            "leave empty episodes out",
        )
    shapes = [{key: array.shape[1:] for key, array in demo.items()} for demo in demos]
    if any(shape != shapes[0] for shape in shapes):
        number = next(number for number, shape in enumerate(shapes) if shape != shapes[0])
        raise problem(
            f"the same keys and widths in every episode, {shapes[0]} as in {names[0]}",
            f"{shapes[number]} in {names[number]} of {path}",
            "write the file again",
        )
    parts = {key: [demo[key] for demo in demos] for key in demos[0]}
    ended = np.array([bool(dones[-1]) for dones in parts["dones"]])
    last = ends_of(lengths)
    fell = np.zeros(len(last), bool)
    fell[last] = ended & ~time_limited(lengths, ended, [None] * len(ended), time_limit, path)
    joined = {key: np.concatenate(each) for key, each in parts.items() if key != "dones"}
    return rows_by_step(
        **joined,
        terminated=fell,
        last=last,
        path=path,
        env_id=env_id,
        metadata={"observation_keys": keys, **metadata},
    )


def _demo(file: HDF5, group: str) -> dict[str, np.ndarray]:
    """The columns of one episode, all of one length."""
    source = f"{file.path}, group /{group}"
    keys = file.names(group)
    if "obs" not in keys:
        raise problem(
            "observations under 'obs'",
            f"{', '.join(sorted(keys)) or 'nothing'} in {source}",
            "make them with robomimic's dataset_states_to_obs.py: the raw file of robosuite has none",
        )
    found = {
        "observations": _joined(file, f"{group}/obs"),
        "actions": matrix(file.numbers(f"{group}/actions"), "actions", source),
    }
    if "next_obs" in keys:
        found["next_observations"] = _joined(file, f"{group}/next_obs")
    if "rewards" in keys:
        found["rewards"] = column(file.numbers(f"{group}/rewards"), "number", 1, "rewards", source)
    steps = len(found["actions"])
    found["dones"] = np.zeros(steps, bool)
    if "dones" in keys:
        found["dones"] = column(file.numbers(f"{group}/dones"), "flag", 1, "dones", source)
    if any(len(array) != steps for array in found.values()):
        got = ", ".join(f"{len(array)} {key}" for key, array in found.items())
        raise problem(f"{steps} rows under every key, as of actions", f"{got} in {source}", "copy the file again")
    return found


def _joined(file: HDF5, group: str) -> np.ndarray:
    """[T, O]: every key of a group, concatenated in the order of their names."""
    source = f"{file.path}, group /{group}"
    parts = {}
    for key in sorted(file.names(group)):
        array = file.numbers(f"{group}/{key}")
        if array.dtype == np.uint8 and array.ndim > 2:
            raise problem(
                "numeric vectors as observations",
                f"images under {key!r} in {source}",
                "use the data set's low_dim file, or leave the cameras out",
            )
        parts[key] = matrix(array, key, source)
    if not parts or len({len(array) for array in parts.values()}) > 1:
        got = ", ".join(f"{len(array)} {key}" for key, array in parts.items()) or "none"
        raise problem("observations of one length under every key", f"{got} in {source}", "copy the file again")
    return np.concatenate(list(parts.values()), axis=1)


def _environment(file: HDF5) -> tuple[str | None, dict[str, Any]]:
    """The Gymnasium id, if the environment has one, and its name and options."""
    try:
        args = json_object(file.attribute("env_args", "data") or "{}", "env_args", file.path)
    except InputError:
        return None, {}
    name, kwargs = args.get("env_name"), args.get("env_kwargs")
    if not isinstance(name, str):
        return None, {}
    if args.get("type") != GYM:
        return None, {"environment": name}
    return name, {"env_kwargs": kwargs} if isinstance(kwargs, dict) and kwargs else {}
