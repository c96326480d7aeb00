"""File formats of demonstrations, one per module, detected from a file's content and not from its name."""

import logging
from collections.abc import Callable
from pathlib import Path

from rlgen.data.formats import (
    baselines_npz,
    d4rl,
    episodes_npz,
    imitation,
    minari,
    minari_writer,
    openai_imitation,
    pairs_npz,
    rlgen_npz,
    robomimic,
    tianshou,
)
from rlgen.data.formats.hdf5 import is_hdf5, open_hdf5
from rlgen.data.formats.npz import is_zip, npz_keys
from rlgen.data.formats.true_names import hdf5_name, true_name, zip_name
from rlgen.data.rows import Rows
from rlgen.errors import problem

READERS: dict[str, Callable[[Path, int | None], Rows]] = {
    "rlgen": rlgen_npz.read,
    "episodes": episodes_npz.read,
    "pairs": pairs_npz.read,
    "minari": minari.read,
    "imitation": imitation.read,
    "d4rl": d4rl.read,
    "robomimic": robomimic.read,
    "tianshou": tianshou.read,
    "openai-imitation": openai_imitation.read,
    "baselines": baselines_npz.read,
}

ASK_FOR_TIME_LIMIT = ("imitation", "d4rl", "robomimic")
"""Formats that may mark terminations and time limits alike; the others do not use a time limit."""

WRITERS: dict[str, Callable[[Rows, Path], None]] = {
    "npz": rlgen_npz.write,
    "hdf5": d4rl.write,
    "minari": minari_writer.write,
    "imitation": imitation.write,
}

NPZ_KEYS = {
    "rlgen": rlgen_npz.KEYS,
    "pairs": pairs_npz.KEYS,  # before episodes, whose keys it also has
    "episodes": episodes_npz.KEYS,
    "imitation": imitation.KEYS,
    "baselines": baselines_npz.BASELINES,
    "stable-baselines": baselines_npz.STABLE_BASELINES,
}

HDF5_LAYOUTS = (
    "minari: episode_0/observations …; d4rl: observations, actions, terminals, timeouts; robomimic: data/demo_0/obs …; "
    "tianshou: obs, act, rew, terminated …; openai-imitation: obs_B_T_Do, a_B_T_Da, len_B"
)

log = logging.getLogger("rlgen")


def read(path: Path, format: str = "auto", time_limit: int | None = None) -> Rows:
    """The rows of a file, folder or Minari id. See `Demonstrations.load`."""
    if format != "auto" and format not in READERS:
        raise problem(f"a format among auto, {', '.join(READERS)}", f"{format!r}", "choose one of these")
    if time_limit is not None and time_limit < 1:
        raise problem("a time limit of at least 1 step", f"{time_limit}", "leave it out if there is none")
    found = detect(path) if format == "auto" else format
    if time_limit is not None and found not in ASK_FOR_TIME_LIMIT:
        log.warning(
            "expected no time limit for %s (format %s), which distinguishes terminations from time limits or keeps no "
            "last step; the %d given is not used; leave it out",
            *(path, found, time_limit),
        )
    return READERS[found](path, time_limit)


def write(demonstrations: Rows, path: Path, format: str = "auto") -> None:
    """Writes a file or folder. See `Demonstrations.save`."""
    if format != "auto" and format not in WRITERS:
        raise problem(f"a format among auto, {', '.join(WRITERS)}", f"{format!r}", "choose one of these")
    if not path.parent.is_dir():
        raise problem("an existing folder to write into", f"{path.parent}", "make it first")
    WRITERS[format_of_name(path) if format == "auto" else format](demonstrations, path)


def format_of_name(path: Path) -> str:
    """The format that the name of a new file implies.

    Raises:
        InputError: a name that implies none.
    """
    by_suffix = {".npz": "npz", ".hdf5": "hdf5", ".h5": "hdf5"}
    found = by_suffix.get(path.suffix.lower()) or ("minari" if minari.ID.fullmatch(path.name) else None)
    if found is None:
        raise problem(
            "a name that ends in .npz or .hdf5, or a Minari data set's (expert-v0)",
            f"{path}",
            f"give the format: {', '.join(WRITERS)} (--to, in Python format)",
        )
    return found


def detect(path: Path) -> str:
    """Name of the format of the file or folder at `path`.

    Raises:
        InputError: nothing exists there, it is empty, or its content is of no known format.
    """
    if path.is_dir():
        return _detect_folder(path)
    if not path.is_file():
        return minari.identify(path)
    if path.stat().st_size == 0:
        raise problem("demonstrations", f"the empty file {path}", "record or copy it again")
    if is_zip(path):
        return _detect_npz(path)
    if is_hdf5(path):
        return _detect_hdf5(path)
    name = true_name(path)
    raise problem(
        "an .npz or .hdf5 file of demonstrations",
        f"{path}, which begins like neither" if name is None else f"{path}, which is {name}",
        "convert it: pickled files are not read, because a pickle can run any code on this machine",
    )


def _detect_folder(path: Path) -> str:
    if minari.find_data(path) is not None:
        return "minari"
    if imitation.is_dataset_folder(path):
        return "imitation"
    lerobot = (path / "meta" / "info.json").is_file()
    raise problem(
        "a Minari folder (data/metadata.json) or one of the imitation library (state.json, *.arrow)",
        f"{path}, which {'is a data set of LeRobot' if lerobot else 'holds neither'}",
        "give the file itself, or the data set's own folder",
    )


def _detect_npz(path: Path) -> str:
    keys = npz_keys(path)
    for name, required in NPZ_KEYS.items():
        if required <= keys:
            return "baselines" if name == "stable-baselines" else name
    if (foreign := zip_name(path)) is not None:
        raise problem("an .npz of demonstrations", f"{path}, which is {foreign}", "give the demonstrations themselves")
    wanted = "; ".join(f"{name}: {', '.join(sorted(required))}" for name, required in NPZ_KEYS.items())
    raise problem(
        f"the arrays of a known format ({wanted})",
        f"{', '.join(sorted(keys)) or 'none'} in {path}",
        "rename the arrays, or build Demonstrations.from_episodes and save it",
    )


def _detect_hdf5(path: Path) -> str:
    with open_hdf5(path) as file:
        keys = file.names()
        signs = {
            "minari": minari.is_mine(keys),
            "d4rl": d4rl.is_mine(keys),
            "robomimic": robomimic.is_mine(file),
            "tianshou": tianshou.is_mine(file),
            "openai-imitation": openai_imitation.is_mine(keys),
        }
    found = next((name for name, there in signs.items() if there), None)
    if found is None:
        name = hdf5_name(keys)
        raise problem(
            f"a known layout of HDF5 ({HDF5_LAYOUTS})",
            f"{', '.join(sorted(keys)[:30]) or 'nothing'} in {path}{'' if name is None else f', which is {name}'}",
            "rename the data sets, or build Demonstrations.from_episodes and save it",
        )
    return found
