"""Readers of demonstrations, one file per format, chosen by a file's content and not by its name."""

from collections.abc import Callable
from pathlib import Path

from rlgen.data.formats import d4rl, episodes_npz, imitation, minari, pairs_npz, rlgen_npz
from rlgen.data.formats.hdf5 import hdf5_keys, is_hdf5
from rlgen.data.formats.npz import is_zip, npz_keys
from rlgen.data.rows import Rows
from rlgen.errors import problem

READERS: dict[str, Callable[[Path, int | None], Rows]] = {
    "rlgen": rlgen_npz.read,
    "episodes": episodes_npz.read,
    "pairs": pairs_npz.read,
    "minari": minari.read,
    "imitation": imitation.read,
    "d4rl": d4rl.read,
}

NPZ_KEYS = {
    "rlgen": rlgen_npz.KEYS,
    "pairs": pairs_npz.KEYS,  # before episodes, whose keys it also has
    "episodes": episodes_npz.KEYS,
    "imitation": imitation.KEYS,
}


def read(path: Path, format: str = "auto", time_limit: int | None = None) -> Rows:
    """The rows of a file, folder or Minari id. See `Demonstrations.load`."""
    if format != "auto" and format not in READERS:
        raise problem(f"a format among auto, {', '.join(READERS)}", f"{format!r}", "choose one of these")
    if time_limit is not None and time_limit < 1:
        raise problem("a time limit of at least 1 step", f"{time_limit}", "leave it out if there is none")
    return READERS[detect(path) if format == "auto" else format](path, time_limit)


def detect(path: Path) -> str:
    """Name of the format of what lies at `path`.

    Raises:
        InputError: nothing lies there, it is empty, or its content is of no known format.
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
        return "d4rl" if "observations" in hdf5_keys(path) else "minari"
    raise problem(
        "an .npz or .hdf5 file of demonstrations",
        f"{path}, which begins like neither",
        "convert it: pickled files are not read, because a pickle can run any code on this machine",
    )


def _detect_folder(path: Path) -> str:
    if minari.find_data(path) is not None:
        return "minari"
    if imitation.is_dataset_folder(path):
        return "imitation"
    raise problem(
        "a Minari folder (data/main_data.hdf5) or one of the imitation library (state.json, *.arrow)",
        f"{path}, which holds neither",
        "give the file itself, or the data set's own folder",
    )


def _detect_npz(path: Path) -> str:
    keys = npz_keys(path)
    for name, required in NPZ_KEYS.items():
        if required <= keys:
            return name
    wanted = "; ".join(f"{name}: {', '.join(sorted(required))}" for name, required in NPZ_KEYS.items())
    raise problem(
        f"the arrays of a known format ({wanted})",
        f"{', '.join(sorted(keys)) or 'none'} in {path}",
        "rename the arrays, or build Demonstrations.from_episodes and save it",
    )
