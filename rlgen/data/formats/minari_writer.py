"""Writes a Minari data set with the package `minari`: a folder that its MinariDataset reads."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.data import observations as tree
from rlgen.data.episode import Episode, episodes_of
from rlgen.data.formats.minari import ID, find_data
from rlgen.data.formats.whole_folder import whole_folder
from rlgen.data.rows import Rows
from rlgen.data.validation import recorded_bounds
from rlgen.errors import problem


def write(demonstrations: Rows, path: Path) -> None:
    """Writes the folder `path` with data/, completely or not at all. Its name and that of its parent folder become the
    data set's id. Unknown rewards are written as NaN.

    Raises:
        InputError: minari is missing, the demonstrations are subsampled, or something else exists at `path`.
    """
    demonstrations.require_whole("Minari")
    try:
        import minari
        from minari.dataset.minari_storage import MinariStorage
    except ImportError as error:
        raise problem(
            "the package minari, which writes its data sets", "a Python without it", "pip install 'rlgen[data]'"
        ) from error
    with whole_folder(path, lambda there: find_data(there) is not None) as partial:
        images = {} if tree.is_flat(demonstrations.observations) else {"jpeg_encoding": False}  # JPEG loses details
        spaces = _spaces(demonstrations)
        data = partial.absolute() / "data"  # Minari joins relative paths to each other
        storage = MinariStorage.new(data, *spaces, env_spec=None, data_format="hdf5", **images)
        storage.update_episodes(_buffer(number, each) for number, each in enumerate(episodes_of(demonstrations)))
        noted: dict[str, Any] = {
            "dataset_id": dataset_id(path),
            "minari_version": minari.__version__,
            "rlgen": demonstrations.metadata,
        }
        if demonstrations.env_id is not None:
            noted["env_spec"] = _env_spec(demonstrations.env_id, demonstrations.metadata.get("env_kwargs"))
        storage.update_metadata(noted)


def dataset_id(path: Path) -> str:
    """NAME-vN of the folder, after the name of its parent folder if that is one of Minari's namespaces."""
    path = path.resolve()
    name = path.name if ID.fullmatch(path.name) else f"{path.name}-v0"
    inside = (path.parent / "namespace_metadata.json").is_file()
    return f"{path.parent.name}/{name}" if inside else name


def _spaces(demonstrations: Rows) -> tuple[Any, Any]:
    """Boxes of the right sizes, a Dict of them for a dictionary; with action bounds if a recording stored them."""
    from gymnasium.spaces import Box, Dict

    parts = {name: _box(array) for name, array in tree.entries(demonstrations.observations).items()}
    observations = parts[""] if "" in parts else Dict(parts)
    bounds = recorded_bounds(demonstrations)
    if bounds is None:
        return observations, Box(-np.inf, np.inf, (demonstrations.actions.shape[1],), np.float32)
    return observations, Box(bounds[0].astype(np.float32), bounds[1].astype(np.float32), dtype=np.float32)


def _box(array: np.ndarray) -> Any:
    """A Box of the type and shape of each row."""
    from gymnasium.spaces import Box

    if array.dtype.kind == "f":
        return Box(-np.inf, np.inf, array.shape[1:], np.float32)
    limits = np.iinfo(array.dtype)
    return Box(limits.min, limits.max, array.shape[1:], array.dtype.type)


def _buffer(number: int, episode: Episode) -> Any:
    from minari.data_collector import EpisodeBuffer

    steps = len(episode.actions)
    last = np.arange(steps) == steps - 1
    return EpisodeBuffer(
        id=number,
        observations=episode.observations,
        actions=episode.actions,
        rewards=np.full(steps, np.nan, np.float32) if episode.rewards is None else episode.rewards,
        terminations=last & episode.terminated,
        truncations=last & (not episode.terminated),
    )


def _env_spec(env_id: str, kwargs: dict[str, Any] | None) -> str:
    """Gymnasium's specification as JSON: the registered one, or only the id if it is not registered here."""
    import gymnasium
    from gymnasium.envs.registration import EnvSpec

    try:
        found = json.loads((gymnasium.registry.get(env_id) or EnvSpec(env_id)).to_json())
    except (TypeError, ValueError, gymnasium.error.Error):  # registered with a function, or an invalid id
        found = {"id": env_id, "entry_point": None}
    found["kwargs"] = {**(found.get("kwargs") or {}), **(kwargs or {})}
    return json.dumps(found)
