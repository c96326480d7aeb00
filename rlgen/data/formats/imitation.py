"""Trajectories of the `imitation` library 1.0: a folder saved by `datasets`, or its older .npz.

Both have `obs` (each with its final observation), `acts`, optionally `rews`, and `terminal`, which that library sets at
the end of every episode, also at a time limit. The last info in the folder format, `time_limit`, or the lengths of the
episodes distinguish terminations from time limits.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.columns import column, reading, text
from rlgen.data.episode import Episode, episodes_of, rows_from_episodes
from rlgen.data.formats.arrow import arrays_of, read_arrow, values_of
from rlgen.data.formats.by_step import time_limited
from rlgen.data.formats.npz import json_file, read_npz
from rlgen.data.formats.plain_npz import split
from rlgen.data.formats.whole_folder import whole_folder
from rlgen.data.rows import Rows
from rlgen.errors import problem

KEYS = {"obs", "acts", "indices", "terminal"}
NOTED = "rlgen.json"
"""File next to the data set with the environment's id and the metadata, for which the format has no place."""


def is_dataset_folder(path: Path) -> bool:
    """Whether `datasets.Dataset.save_to_disk` wrote the folder."""
    return any((path / name).is_file() for name in ("state.json", "dataset_info.json", "dataset_dict.json"))


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads a folder or an .npz. The pickled `infos` of the .npz are never opened."""
    episodes, cut = _read_folder(path) if path.is_dir() else _read_npz(path)
    lengths = np.array([len(episode.actions) for episode in episodes], np.int64)
    ended = np.array([episode.terminated for episode in episodes], bool)
    fell = ended & ~time_limited(lengths, ended, cut, time_limit, path)
    kept = [replace(episode, terminated=bool(flag)) for episode, flag in zip(episodes, fell, strict=True)]
    noted = json_file(path / NOTED) if path.is_dir() else {}
    env_id = text(noted["env_id"], "env_id", str(path / NOTED)) if noted.get("env_id") is not None else None
    extra = noted.get("metadata")
    metadata = extra if isinstance(extra, dict) else {}
    return rows_from_episodes(kept, source=str(path), env_id=env_id, metadata={"source": path.name, **metadata})


def write(demonstrations: Rows, path: Path) -> None:
    """Writes a folder with `datasets`, which `imitation` reads; the folder is complete or absent.

    Raises:
        InputError: datasets is missing, the demonstrations are subsampled, or something else exists at `path`.
    """
    demonstrations.require_whole("a data set of the imitation library")
    try:
        import datasets
    except ImportError as error:
        raise problem(
            "the package datasets, which writes this folder", "a Python without it", "pip install datasets"
        ) from error
    if isinstance(demonstrations.observations, dict):
        raise problem(
            "observations of one array, which a data set of the imitation library holds",
            f"a dictionary ({tree.described(demonstrations.observations)}) in {demonstrations.source}",
            "save them as rlgen's .npz, as .hdf5 or as a Minari data set",
        )
    episodes = episodes_of(demonstrations)
    columns: dict[str, list[Any]] = {
        "obs": [episode.observations for episode in episodes],
        "acts": [episode.actions for episode in episodes],
        "infos": [_infos(episode) for episode in episodes],
        "terminal": [True] * len(episodes),
    }
    if demonstrations.rewards is not None:
        columns["rews"] = [episode.rewards for episode in episodes]
    noted = {"env_id": demonstrations.env_id, "metadata": demonstrations.metadata}
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        with whole_folder(path, is_dataset_folder) as partial:
            datasets.Dataset.from_dict(columns).save_to_disk(str(partial))
            (partial / NOTED).write_text(json.dumps(noted))
    finally:
        if shown:
            datasets.enable_progress_bars()


def _infos(episode: Episode) -> list[str]:
    """One JSON text per step; the last one says what ended the episode."""
    return ["{}"] * (len(episode.actions) - 1) + [json.dumps({"TimeLimit.truncated": not episode.terminated})]


def _read_npz(path: Path) -> tuple[list[Episode], list[bool | None]]:
    found = read_npz(path, KEYS, ("rews",))
    indices = column(found["indices"], "count", 1, "indices", str(path)).astype(np.int64)
    steps = len(found["acts"]) if found["acts"].ndim else 0
    lengths = np.diff(indices, prepend=0, append=steps)  # indices: ends, without the last
    if (lengths < 1).any():
        raise problem(
            "the ends of the episodes, counting up, under 'indices'",
            f"ends that give an episode of {lengths.min()} steps in {path}",
            "the file was put together wrongly: write it again",
        )
    return split(found, lengths, found["terminal"], "terminal", path), [None] * len(lengths)


def _read_folder(path: Path) -> tuple[list[Episode], list[bool | None]]:
    episodes: list[Episode] = []
    cut: list[bool | None] = []
    for file in _data_files(path):
        found = read_arrow(file, ("obs", "acts", "terminal"), ("rews", "infos"))
        observations, actions = (arrays_of(found[key], key, file) for key in ("obs", "acts"))
        ends = column(values_of(found["terminal"], "terminal", file), "flag", 1, "terminal", str(file))
        rewards = arrays_of(found["rews"], "rews", file) if "rews" in found else [None] * len(ends)
        episodes += [
            Episode(observations=seen, actions=done, rewards=got, terminated=bool(end))
            for seen, done, got, end in zip(observations, actions, rewards, ends, strict=True)
        ]
        cut += _cut(found["infos"], file) if "infos" in found else [None] * len(ends)
    return episodes, cut


def _data_files(path: Path) -> list[Path]:
    """The files that state.json lists, all of which must be in the folder."""
    if (path / "dataset_dict.json").is_file():
        raise problem("one data set", f"several splits in {path}", "give the folder of one split")
    state = json_file(path / "state.json")
    with reading("state.json of a data set", path):
        if state.get("_indices_data_files"):
            raise ValueError("row indices in separate files")
        names = [entry["filename"] for entry in state["_data_files"]]
        if not names or not all(Path(name).name == name for name in names):
            raise ValueError(f"data files {names}")
    return [path / name for name in names]


def _cut(infos: Any, path: Path) -> list[bool | None]:
    """The time limit's flag in each episode's last info, a JSON text; None where the flag is missing."""
    with reading("Arrow file", path):
        lists = infos.to_pylist()
    return [_flag(texts[-1]) if isinstance(texts, list) and texts else None for texts in lists]


def _flag(info: Any) -> bool | None:
    try:
        flag = json.loads(info).get("TimeLimit.truncated")
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return flag if isinstance(flag, bool) else None
