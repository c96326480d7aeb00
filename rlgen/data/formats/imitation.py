"""Trajectories of the `imitation` library 1.0: a folder that `datasets` saved, or its older .npz.

Both have `obs` (each with its final observation), `acts`, optionally `rews`, and `terminal`, which that library sets at
every episode's end: a time limit looks like a fall. Falls and time limits are told apart here by the last info of the
folder format, by `time_limit`, or by the episodes' lengths.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data.formats.episodes_npz import split
from rlgen.data.formats.npz import read_npz
from rlgen.data.rows import Episode, Rows, rows_from_episodes
from rlgen.errors import problem

KEYS = {"obs", "acts", "indices", "terminal"}

log = logging.getLogger("rlgen")


def is_dataset_folder(path: Path) -> bool:
    """Whether `datasets.Dataset.save_to_disk` wrote this folder."""
    return (path / "state.json").is_file() or (path / "dataset_info.json").is_file()


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads a folder or an .npz. The pickled `infos` of the .npz are not opened."""
    episodes, cut = _read_folder(path) if path.is_dir() else _read_npz(path)
    lengths = np.array([len(episode.actions) for episode in episodes])
    terminal = np.array([episode.terminated for episode in episodes], bool)
    fell = terminal & ~_time_limited(lengths, terminal, cut, time_limit, path)
    kept = [
        Episode(observations=e.observations, actions=e.actions, rewards=e.rewards, terminated=bool(f))
        for e, f in zip(episodes, fell, strict=True)
    ]
    return rows_from_episodes(kept, source=str(path), metadata={"source": path.name})


def _time_limited(
    lengths: np.ndarray, terminal: np.ndarray, cut: list[bool | None], time_limit: int | None, path: Path
) -> np.ndarray:
    """[E] bool: episodes that a time limit ended. A guess from the lengths is said in the log."""
    if time_limit is not None:
        return lengths >= time_limit
    known = [flag for flag in cut if flag is not None]
    if len(known) == len(cut):
        return np.array(known, bool)
    longest = lengths == lengths.max(initial=0)
    guess = longest & (terminal.all() and longest.sum() > 1)
    found = f"the {guess.sum()} longest, of {lengths.max()} steps, are" if guess.any() else "none is"
    log.warning(
        "expected falls and time limits told apart; %s marks both as terminal: of its %d episodes %s taken as cut by a "
        "time limit; to say it yourself: rlgen demos convert --time-limit STEPS (in Python time_limit)",
        *(path, len(lengths), found),
    )
    return guess


def _read_npz(path: Path) -> tuple[list[Episode], list[bool | None]]:
    found = read_npz(path, KEYS, ("rews",))
    lengths = np.diff(found["indices"], prepend=0, append=len(found["acts"]))  # indices: ends, without the last
    if (lengths < 1).any():
        raise problem(
            "the ends of the episodes, counting up, under 'indices'",
            f"ends that give an episode of {lengths.min()} steps in {path}",
            "the file was put together wrongly: write it again",
        )
    return split(found, lengths, found["terminal"], path), [None] * len(lengths)


def _read_folder(path: Path) -> tuple[list[Episode], list[bool | None]]:
    table = _open_folder(path)
    missing = {"obs", "acts", "terminal"} - set(table.column_names)
    if missing:
        raise problem(
            "the columns obs, acts and terminal",
            f"{path} without {', '.join(sorted(missing))}",
            "save trajectories with imitation.data.serialize.save",
        )
    numbers = table.remove_columns([name for name in table.column_names if name == "infos"]).with_format("numpy")
    episodes = [
        Episode(
            observations=_stacked(row["obs"]),
            actions=_stacked(row["acts"]),
            rewards=_stacked(row["rews"]) if "rews" in row else None,
            terminated=bool(row["terminal"]),
        )
        for row in numbers
    ]
    if "infos" not in table.column_names:
        return episodes, [None] * len(episodes)
    return episodes, [_was_cut(infos) for infos in table["infos"]]


def _open_folder(path: Path) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise problem(
            "the package datasets, which reads this folder", "a Python without it", "pip install datasets"
        ) from error
    try:
        table = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError) as error:
        raise problem(
            "a complete folder of datasets.Dataset.save_to_disk",
            f"{path}, cut or damaged ({error})",
            "copy or save it again",
        ) from error
    if not isinstance(table, datasets.Dataset):
        raise problem("one data set", f"several splits in {path}", "give the folder of one split")
    return table


def _stacked(value: Any) -> np.ndarray:
    """A column of vectors may arrive as an object array of rows."""
    array = np.asarray(value)
    return np.stack([np.asarray(row) for row in array]) if array.dtype == object and len(array) else array


def _was_cut(infos: list[str] | None) -> bool | None:
    """The time limit's flag in an episode's last info, a JSON text; None where it does not say."""
    try:
        flag = json.loads(infos[-1]).get("TimeLimit.truncated") if infos else None
    except (ValueError, AttributeError):
        return None
    return flag if isinstance(flag, bool) else None
