"""Minari data sets on this disk, by folder or id (minari:NAME, or NAME alone): data/metadata.json, with
data/main_data.hdf5 or one Arrow file per episode."""

import logging
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.columns import column, matrix
from rlgen.data.episode import Episode, rows_from_episodes
from rlgen.data.formats.arrow import read_arrow, tree_of, values_of
from rlgen.data.formats.hdf5 import HDF5, is_hdf5, open_hdf5
from rlgen.data.formats.npz import json_file, json_object
from rlgen.data.rows import Rows
from rlgen.errors import InputError, problem

log = logging.getLogger("rlgen")
PREFIX = "minari:"
ID = re.compile(r"[-\w]+(/[-\w]+)*-v\d+")
Shapes = dict[str, tuple[int, ...]]
EPISODE = re.compile(r"episode_\d+")
COLUMNS = ("observations", "actions", "rewards", "terminations")


def is_mine(keys: set[str]) -> bool:
    """Whether an HDF5 file with these top-level names is Minari's."""
    return any(EPISODE.fullmatch(key) for key in keys)


def find_data(path: Path) -> Path | None:
    """The folder of a Minari data set that holds its data and metadata.json; None if there is none."""
    for folder in (path, path / "data"):
        if (folder / "main_data.hdf5").is_file():
            return folder
        if (folder / "metadata.json").is_file() and "data_format" in _described_by(folder):
            return folder
    return None


def id_of(path: str | Path) -> str:
    """The id that `path` is, at which no file exists: minari:NAME or NAME. Raises `InputError` if it is none."""
    text = Path(path).as_posix()
    name = text.removeprefix(PREFIX)
    if ID.fullmatch(name):
        return name
    if text.startswith(PREFIX):
        raise problem("the id of a Minari data set (minari:mujoco/ant/expert-v0)", text, "check its name and version")
    raise problem("a file or folder of demonstrations", f"{path}, which does not exist", "check the path")


def identify(path: Path) -> str:
    """ "minari" if `path`, at which no file exists, is the id of a data set on this disk."""
    folder_of_id(id_of(path))
    return "minari"


def read(path: Path, time_limit: int | None = None) -> Rows:
    """Reads all episodes; `time_limit` is not needed, because Minari distinguishes both kinds of end. Images and
    dictionaries are kept, without entries of texts; other Boxes of several dimensions are flattened."""
    where = path if path.exists() else folder_of_id(id_of(path))
    folder = where.parent if where.is_file() else find_data(where)
    if folder is None:
        raise problem(
            "a Minari data set (data/metadata.json, data/main_data.hdf5)", f"{where}", "check the path of its folder"
        )
    described = json_file(folder / "metadata.json")
    shapes = _shapes(described.get("observation_space"))
    file = where if where.is_file() else folder / "main_data.hdf5"
    if file.is_file():
        with open_hdf5(file) as opened:
            episodes = [_episode(found, source) for found, source in _from_hdf5(opened)]
            if "dataset_id" not in described:  # HDF5 may never return from a text in a damaged heap
                described = _attributes(opened) | described
    elif described.get("data_format") == "arrow":
        episodes = [_episode(found, source) for found, source in _from_arrow(folder, shapes)]
    else:
        raise problem(
            "a Minari data set stored as hdf5 or arrow",
            f"{folder}, stored as {described.get('data_format', 'nothing known')}",
            "write it again in one of these (minari.DataCollector(..., data_format='hdf5'))",
        )
    total = described.get("total_episodes")
    if isinstance(total, int) and len(episodes) < total:
        remedy = f"an interrupted download or copy leaves less: remove {folder}, then download or copy it again"
        raise problem(f"{total} episodes, as {folder / 'metadata.json'} says", str(len(episodes)), remedy)
    if episodes:
        _require_sizes(episodes[0].observations, shapes, folder)
        _tell_of_texts(episodes[0].observations, described.get("observation_space"), path)
    return rows_from_episodes(
        episodes, source=str(path), env_id=_env_spec(described).get("id"), metadata=_metadata(described, path)
    )


def is_minari_file(path: Path) -> bool:
    """Whether an HDF5 file holds Minari's episodes."""
    if not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        return is_mine(file.names())


def _from_hdf5(file: HDF5) -> Iterator[tuple[dict[str, Any], str]]:
    """The columns of each episode, and their place for error messages."""
    names = sorted((name for name in file.names() if EPISODE.fullmatch(name)), key=lambda name: int(name[8:]))
    for name in names:
        seen = file.tree(f"{name}/{COLUMNS[0]}")
        columns = {key: file.numbers(f"{name}/{key}") for key in COLUMNS[1:]}
        yield {COLUMNS[0]: seen, **columns}, f"{file.path}, group /{name}"


def _from_arrow(folder: Path, shapes: Shapes) -> Iterator[tuple[dict[str, Any], str]]:
    """Like `_from_hdf5`, from one folder per episode. Minari pads all columns but the observations by one row, and
    flattens images, which get their shapes from those of the observation space."""
    numbered = sorted((each for each in folder.iterdir() if each.name.isdecimal()), key=lambda each: int(each.name))
    for episode in numbered:
        files = sorted(episode.glob("*.arrow"))
        if len(files) != 1:
            raise problem("one Arrow file per episode", f"{len(files)} in {episode}", "copy or download it again")
        found = read_arrow(files[0], COLUMNS)
        seen = tree.entries(tree_of(found[COLUMNS[0]], COLUMNS[0], files[0]))
        parts = {name: _with_shape(part, shapes.get(name)) for name, part in seen.items()}
        columns = {key: values_of(found[key], key, files[0])[:-1] for key in COLUMNS[1:]}
        yield {COLUMNS[0]: tree.of_entries(parts), **columns}, str(files[0])


def _with_shape(rows: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    """Flattened images [R, n] with their shape."""
    if shape and rows.dtype == np.uint8 and rows.shape[1:] == (math.prod(shape),):
        return rows.reshape(len(rows), *shape)
    return rows


def _episode(found: dict[str, Any], source: str) -> Episode:
    terminations = column(found["terminations"], "flag", 1, "terminations", source)
    return Episode(
        observations=tree.checked(found["observations"], "observations", source),
        actions=matrix(found["actions"], "actions", source),
        rewards=column(found["rewards"], "number", 1, "rewards", source),
        terminated=bool(terminations[-1:].any()),
    )


def local_folder(name: str) -> Path:
    """The folder on this disk of the data set with the id `name`, whether it exists or not."""
    try:
        from minari.storage import get_dataset_path
    except ImportError as error:
        raise problem(
            f"the package minari, which finds the data set {name}",
            "a Python without it, and no file or folder of that name",
            "pip install 'rlgen[data]', or give the data set's folder",
        ) from error
    return Path(get_dataset_path(name))


def folder_of_id(name: str) -> Path:
    """The folder on this disk of the data set with the id `name`. Raises `InputError` if it is not there."""
    folder = local_folder(name)
    if not folder.is_dir():
        raise problem(
            f"a file or folder {name}, or the Minari data set of that id in {folder}",
            "neither",
            f"check the name, or download it: rlgen demos fetch {PREFIX}{name}",
        )
    return folder


def _described_by(folder: Path) -> dict[str, Any]:
    """The content of metadata.json; empty if it is not Minari's."""
    try:
        return json_file(folder / "metadata.json")
    except InputError:
        return {}


def _attributes(file: HDF5) -> dict[str, Any]:
    """Metadata that older versions of Minari store in the HDF5 file itself."""
    found = {key: file.attribute(key) for key in ("env_spec", "dataset_id")}
    return {key: value for key, value in found.items() if value is not None}


def _metadata(described: dict[str, Any], path: Path) -> dict[str, Any]:
    """Metadata of the recording: id, constructor options, action bounds, and what rlgen stored."""
    noted = described.get("rlgen")
    metadata: dict[str, Any] = {"source": path.name, **(noted if isinstance(noted, dict) else {})}
    name = described.get("dataset_id")
    metadata["minari_id"] = name if isinstance(name, str) else path.name
    kwargs = _env_spec(described).get("kwargs")
    if isinstance(kwargs, dict) and kwargs:
        metadata["env_kwargs"] = kwargs
    bounds = _bounds(described.get("action_space"))
    return metadata if bounds is None else metadata | bounds


def _env_spec(described: dict[str, Any]) -> dict[str, Any]:
    """Gymnasium's specification of the environment, from a JSON text; empty if it is missing or damaged."""
    try:
        found = json_object(described.get("env_spec") or "{}", "env_spec", Path("metadata.json"))
    except InputError:
        return {}
    return found if isinstance(found.get("id"), str) else {}


def _shapes(text: Any) -> Shapes:
    """Shapes by entry of an observation space, from its JSON text: those of its Boxes, none if it is damaged."""
    try:
        space = json_object(text or "{}", "observation_space", Path("metadata.json"))
        parts = space["subspaces"] if space.get("type") == "Dict" else {"": space}
        return {name: tuple(int(size) for size in part["shape"]) for name, part in parts.items() if "shape" in part}
    except (InputError, KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return {}


def _tell_of_texts(observations: Any, text: Any, path: Path) -> None:
    """Logs a warning for entries of the observation space that were left out because they are texts."""
    try:
        names = set(json_object(text or "{}", "observation_space", Path("metadata.json")).get("subspaces") or ())
    except (InputError, TypeError):
        return
    if texts := sorted(str(name) for name in names - tree.entries(observations).keys()):
        log.warning(
            "expected entries that are numbers; the texts under %s of %s are left out; train in the task without them: "
            "gymnasium.wrappers.FilterObservation(env, %s)",
            *(", ".join(map(repr, texts)), path, sorted(tree.entries(observations))),
        )


def _bounds(text: Any) -> dict[str, list[float]] | None:
    """Bounds of a Box of vectors if they are finite, from the JSON text of the action space; else None."""
    try:
        space = json_object(text or "{}", "action_space", Path("metadata.json"))
        shape = tuple(int(size) for size in space["shape"])
        low, high = (np.array(space[side], np.float64) for side in ("low", "high"))
    except (InputError, KeyError, TypeError, ValueError, OverflowError):
        return None
    finite = low.shape == high.shape == shape and len(shape) == 1 and np.isfinite([low, high]).all()
    return {"action_low": low.tolist(), "action_high": high.tolist()} if finite else None


def _require_sizes(observations: Any, shapes: Shapes, folder: Path) -> None:
    """Requires entries as large as the observation space says."""
    for name, array in tree.entries(observations).items():
        size = math.prod(array.shape[1:])
        if name in shapes and size != math.prod(shapes[name]):
            raise problem(
                f"observations of shape {list(shapes[name])}, as {folder / 'metadata.json'} says",
                f"{size} numbers each{f' under {name!r}' if name else ''}",
                "images that Minari stores as JPEG are not read: record with jpeg_encoding=False",
            )
