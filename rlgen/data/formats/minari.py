"""Minari data sets on this disk: a folder with data/main_data.hdf5 and data/metadata.json, or a Minari id."""

import json
import re
from pathlib import Path
from typing import Any

from rlgen.data.formats.hdf5 import dataset, is_hdf5, open_hdf5
from rlgen.data.rows import Episode, Rows, matrix, rows_from_episodes
from rlgen.errors import problem

ID = re.compile(r"[-\w]+(/[-\w]+)*-v\d+")


def find_data(path: Path) -> Path | None:
    """The HDF5 file of a Minari folder, or the path itself if it is one."""
    candidates = (path, path / "main_data.hdf5", path / "data" / "main_data.hdf5")
    return next((file for file in candidates if file.is_file()), None)


def identify(path: Path) -> str:
    """ "minari" if `path`, which does not exist as a file, is the id of a data set on this disk."""
    if not ID.fullmatch(path.as_posix()):
        raise problem("a file or folder of demonstrations", f"{path}, where nothing lies", "check the path")
    _folder_of_id(path)
    return "minari"


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads all episodes; `time_limit` is not needed, Minari keeps both kinds of end."""
    folder = path if path.exists() else _folder_of_id(path)
    file_path = find_data(folder)
    if file_path is None or not is_hdf5(file_path):
        raise problem(
            "a Minari data set stored as HDF5 (data/main_data.hdf5)",
            f"{folder}",
            "check the path; a data set in another data_format must be written again as hdf5",
        )
    with open_hdf5(file_path) as file:
        names = sorted((name for name in file if re.fullmatch(r"episode_\d+", name)), key=lambda n: int(n[8:]))
        episodes = [_episode(file[name], file_path) for name in names]
        attributes = {key: file.attrs[key] for key in ("env_spec", "dataset_id") if key in file.attrs}
    described = attributes | _metadata(file_path.with_name("metadata.json"))
    metadata = {"source": path.name, "minari_id": described.get("dataset_id", path.name)}
    return rows_from_episodes(episodes, source=str(path), env_id=_env_id(described), metadata=metadata)


def _folder_of_id(path: Path) -> Path:
    try:
        from minari.storage import get_dataset_path
    except ImportError as error:
        raise problem(
            f"the package minari, which knows where the data set {path} lies",
            "a Python without it, and no file or folder of that name",
            "pip install minari, or give the data set's folder",
        ) from error
    folder = Path(get_dataset_path(path.as_posix()))
    if not folder.is_dir():
        raise problem(
            f"a file or folder {path}, or the Minari data set of that id in {folder}",
            "neither",
            f"check the path, or run: minari download {path.as_posix()}",
        )
    return folder


def _episode(group: Any, path: Path) -> Episode:
    where = f"{path}, group {group.name}"
    actions = matrix(dataset(group, "actions", path), "actions", where)
    return Episode(
        observations=matrix(dataset(group, "observations", path), "observations", where),
        actions=actions,
        rewards=dataset(group, "rewards", path),
        terminated=bool(dataset(group, "terminations", path)[-1:].any()),
    )


def _metadata(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise problem("a JSON file", f"{path}, cut or damaged ({error})", "copy or download it again") from error


def _env_id(described: dict[str, Any]) -> str | None:
    """The Gymnasium id within `env_spec`, a JSON string."""
    try:
        return json.loads(described.get("env_spec") or "{}").get("id")
    except (ValueError, AttributeError):
        return None
