"""File formats of demonstrations, detected from a file's content and not from its name. Files of unsupported formats
are identified for the error that refuses them."""

import logging
from collections.abc import Callable
from pathlib import Path

from rlgen.data.formats import (
    d4rl,
    imitation,
    minari,
    minari_writer,
    openai,
    plain_npz,
    rlgen_npz,
    robomimic,
    tianshou,
)
from rlgen.data.formats.hdf5 import is_hdf5, open_hdf5
from rlgen.data.formats.npz import is_zip, npz_keys
from rlgen.data.rows import Rows
from rlgen.errors import problem
from rlgen.system.files import make_parent

READERS: dict[str, Callable[[Path, int | None], Rows]] = {
    "rlgen": rlgen_npz.read,
    "episodes": plain_npz.read_episodes,
    "pairs": plain_npz.read_pairs,
    "minari": minari.read,
    "imitation": imitation.read,
    "d4rl": d4rl.read,
    "robomimic": robomimic.read,
    "tianshou": tianshou.read,
    "openai-imitation": openai.read_imitation,
    "baselines": openai.read_baselines,
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
    "pairs": plain_npz.PAIRS,  # before episodes, whose keys it also has
    "episodes": plain_npz.EPISODES,
    "imitation": imitation.KEYS,
    "baselines": openai.BASELINES,
    "stable-baselines": openai.STABLE_BASELINES,
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
    writer = WRITERS[format_of_name(path) if format == "auto" else format]
    make_parent(path)
    writer(demonstrations, path)


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
            "openai-imitation": openai.is_imitation(keys),
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


PREFIXES = {
    b"\x93NUMPY": "a single NumPy array (.npy), but demonstrations need several: save them as one .npz",
    b"PAR1": "a Parquet file (LeRobot, Hugging Face): load it with datasets and save_to_disk, or build episodes",
    b"ARROW1": "a bare Arrow file: give the folder of its data set",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"BZh": "a bzip2 archive: unpack it first",
    b"\xfd7zXZ": "an xz archive: unpack it first",
    b"MATLAB 5.0": "a MATLAB file of version 5: load it with scipy.io.loadmat and build episodes",
    b"SQLite format 3": "an SQLite database",
    b"{": "JSON: build episodes from it",
    b"[": "JSON: build episodes from it",
    b"\x80": "a pickle",
}


def true_name(path: Path) -> str | None:
    """Description of a file from its first bytes, with advice; None if unknown."""
    with path.open("rb") as file:
        head = file.read(16)
    found = next((name for prefix, name in PREFIXES.items() if head.startswith(prefix)), None)
    if path.suffix.lower().startswith(".tfrecord") or ".tfrecord" in path.name:
        return "TFRecords (RLDS): load them with tensorflow_datasets and build episodes"
    if found is None and len(head) >= 8 and int.from_bytes(head[:8], "little") < 1 << 24 and head[8:9] == b"{":
        return "safetensors, which hold a network's weights"
    return found


def zip_name(path: Path) -> str | None:
    """Description of a zip archive that is no known .npz; None if unknown."""
    keys = npz_keys(path)
    if "policy.pth" in keys:
        return "a model saved by Stable-Baselines3: play it with rlgen demos record"
    if any(key.endswith("data.pkl") for key in keys):
        return "a file of torch.save"
    return None


def hdf5_name(keys: set[str]) -> str | None:
    """Description of an HDF5 file with these top-level names; None if unknown."""
    if any(key.startswith("traj_") for key in keys):
        return "ManiSkill's trajectories (traj_0 and so on)"
    if "observation" in keys or ("observations" in keys and not keys & {"actions", "terminals"}):
        return "an ALOHA-like recording of one episode"
    if "data" in keys:
        return "robomimic's layout without an episode data/demo_0"
    if keys & {"model_weights", "layer_names"}:
        return "a Keras model"
    return None
