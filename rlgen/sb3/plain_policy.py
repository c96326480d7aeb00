"""A policy in a folder without pickles: model.safetensors has its tensors, model.json all else that acting needs."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from safetensors import SafetensorError
from safetensors.torch import load, save

from rlgen.data.formats.npz import json_file
from rlgen.errors import problem
from rlgen.sb3.saved_model import SavedModel
from rlgen.system.files import atomic_write
from rlgen.system.memory import require_room

WEIGHTS, CARD = "model.safetensors", "model.json"
READ = ("policy_kwargs", "use_sde")
"""Entries of a model's description that rebuilding its policy reads, besides the class."""
LARGEST_IMAGE = 2**24
"""Numbers of the largest image."""
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
WRONG = (ValueError, KeyError, TypeError, AttributeError, AssertionError, OverflowError)
"""Errors of Python and Gymnasium for values that make no space."""
REMEDY = "publish the run again, or load its policy.zip"


def is_plain_policy(folder: Path) -> bool:
    """Whether `folder` holds a policy that `write_plain_policy` wrote; image models have files of the same names."""
    return (folder / WEIGHTS).is_file() and (folder / CARD).is_file() and "policy" in json_file(folder / CARD)


def write_plain_policy(saved: SavedModel, folder: Path) -> None:
    """Write FOLDER/model.safetensors and FOLDER/model.json."""
    tensors = {name: tensor.contiguous().clone() for name, tensor in saved.tensors.items()}
    atomic_write(folder / WEIGHTS, save(tensors))
    described = {name: saved.data[name] for name in READ if name in saved.data}
    if isinstance(kind := saved.data.get("policy_class"), dict):
        described["policy_class"] = {name: kind[name] for name in ("__module__", "__init__") if name in kind}
    found = {name: getattr(saved, name) for name in ("observation_space", "action_space")}
    written = {name: None if space is None else entries_of_space(space) for name, space in found.items()}
    card = {"policy": _without_addresses(described), **written}
    atomic_write(folder / CARD, json.dumps(card, allow_nan=False) + "\n")


def read_plain_policy(folder: Path) -> SavedModel:
    """The policy of a folder that `write_plain_policy` wrote.

    Raises:
        InputError: damaged files, a space of an unknown kind, or more than fits into memory.
    """
    card, weights = json_file(folder / CARD), folder / WEIGHTS
    if not isinstance(card.get("policy"), dict):
        raise problem(f"a description under 'policy' in {folder / CARD}", repr(card.get("policy"))[:80], REMEDY)
    found = {name: _space(card, name, folder / CARD) for name in ("observation_space", "action_space")}
    require_room(weights.stat().st_size, f"the tensors of {weights}", weights.stat().st_size)
    try:
        tensors = load(weights.read_bytes())
    except (OSError, SafetensorError) as error:
        raise problem(f"the tensors of a policy in {weights}", f"a damaged file ({error})", REMEDY) from error
    return SavedModel(path=weights, data=card["policy"], tensors=tensors, **found)


def entries_of_space(space: spaces.Space) -> dict[str, Any]:
    """A Box, a discrete space or a Dict of them as JSON values; infinite bounds as text, which strict JSON has no
    numbers for, and the bounds of images as one number."""
    if isinstance(space, spaces.Dict):
        return {"kind": "Dict", "spaces": {name: entries_of_space(inner) for name, inner in space.spaces.items()}}
    if isinstance(space, spaces.Box):
        bounds: dict[str, Any] = {name: _bound(getattr(space, name)) for name in ("low", "high")}
        return {"kind": "Box", "shape": list(space.shape), "dtype": str(space.dtype), **bounds}
    if isinstance(space, spaces.Discrete):
        return {"kind": "Discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, spaces.MultiDiscrete):
        return {"kind": "MultiDiscrete", "nvec": space.nvec.tolist()}
    if isinstance(space, spaces.MultiBinary):
        return {"kind": "MultiBinary", "shape": list(space.shape)}
    expected = "a Box, a discrete space or a Dict of them"
    raise problem(expected, f"{space}", "publish a policy of numeric observations")


def _bound(bound: np.ndarray) -> Any:
    if bound.ndim > 2 and (bound == bound.flat[0]).all():
        return _finite_or_text(bound.flat[0])
    return [_finite_or_text(each) for each in bound.ravel()]


def space_of_entries(entries: dict[str, Any]) -> spaces.Space:
    """The inverse of `entries_of_space`. Raises an error of the kind `WRONG` for other values."""
    kind = entries["kind"]
    if kind == "Dict":
        if any(inner["kind"] == "Dict" for inner in entries["spaces"].values()):
            raise ValueError("a Dict within a Dict")
        return spaces.Dict({str(name): space_of_entries(inner) for name, inner in entries["spaces"].items()})
    if kind == "Box":
        shape, dtype = tuple(entries["shape"]), np.dtype(entries["dtype"])
        if dtype.kind not in "fiub":
            raise ValueError(f"numbers of type {dtype}")
        low, high = (_bounds(entries[name], shape, dtype) for name in ("low", "high"))
        return spaces.Box(low, high, dtype=dtype.type)  # type: ignore[arg-type]
    if kind == "Discrete":
        return spaces.Discrete(int(entries["n"]), start=int(entries["start"]))
    if kind == "MultiDiscrete":
        return spaces.MultiDiscrete(np.array(entries["nvec"], np.int64))
    if kind == "MultiBinary":
        return spaces.MultiBinary([int(each) for each in entries["shape"]])
    raise ValueError(f"a space of the kind {kind!r}")


def _bounds(values: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    if not isinstance(values, list):
        if math.prod(shape) > LARGEST_IMAGE:
            raise ValueError(f"an image of shape {list(shape)}")
        return np.full(shape, float(values), dtype)
    return np.array([float(each) for each in values], dtype).reshape(shape)


def _space(card: dict[str, Any], name: str, path: Path) -> spaces.Space | None:
    if card.get(name) is None:
        return None
    try:
        return space_of_entries(card[name])
    except WRONG as error:
        raise problem(
            f"a Box, a discrete space or a Dict under {name!r} in {path}", f"{error!r}"[:120], REMEDY
        ) from error


def _finite_or_text(number: Any) -> float | int | str:
    value = number.item()
    return value if math.isfinite(value) else str(value)


def _without_addresses(value: Any) -> Any:
    """The description without the addresses of functions in memory, which differ between two equal models."""
    if isinstance(value, dict):
        return {name: _without_addresses(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_addresses(each) for each in value]
    return ADDRESS.sub("", value) if isinstance(value, str) else value
