"""Reads a Stable-Baselines3 .zip without running anything in it: plain JSON values, tensors and spaces.

A saved model holds Python objects as base64 pickles (`:serialized:` in the JSON). Opening them would run any code that
the file's author put there, so they are dropped here, except the two spaces, which `plain_pickle` reads as records;
`policy.pth` goes through torch's safe unpickler.
"""

import base64
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from rlgen.errors import InputError, problem
from rlgen.sb3.plain_pickle import read_plain, space_of
from rlgen.system.memory import require_room

AGAIN = "save the model again with an unmodified Stable-Baselines3"


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """A model's description and the tensors of its policy, on the CPU."""

    path: Path
    data: dict[str, Any]
    """Constructor arguments. For pickled objects only the texts that SB3 writes next to them."""

    tensors: dict[str, Tensor]
    """`policy.state_dict()`; every tensor stores all its elements."""

    observation_space: spaces.Space | None
    """Observation space of training; None if the file does not hold it in a readable form."""

    action_space: spaces.Space | None
    """Action space of training; None likewise."""


def read_saved_model(path: Path) -> SavedModel:
    """Reads `data` and `policy.pth` of the .zip.

    Raises:
        InputError: a missing file, not an SB3 model, cut or damaged, larger than the free memory, or tensors that need
            unpickling.
    """
    if not path.is_file():
        raise problem("a model saved by Stable-Baselines3 (.zip)", f"{path}, which does not exist", "check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [archive.getinfo(name).file_size for name in ("data", "policy.pth")]
            require_room(sum(sizes), f"what {path} holds", path.stat().st_size)
            content, weights = archive.read("data"), archive.read("policy.pth")
    except InputError:
        raise
    except Exception as error:  # a damaged archive can make zipfile fail in many ways
        raise problem(
            "a model saved by Stable-Baselines3: a .zip with 'data' and 'policy.pth'",
            f"{path}, which is something else, cut or damaged ({error})",
            "save it again with model.save(path)",
        ) from error
    data = _json(content, path)
    found = {name: _space(data.get(name)) for name in ("observation_space", "action_space")}
    return SavedModel(path=path, data=_without_pickles(data), tensors=_tensors(weights, path), **found)


def _json(text: bytes, path: Path) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise problem("JSON under 'data'", f"{error} in {path}", "save the model again") from error
    if not isinstance(data, dict):
        raise problem("a JSON object under 'data'", f"{type(data).__name__} in {path}", "save the model again")
    return data


def _without_pickles(data: dict[str, Any]) -> dict[str, Any]:
    """Every entry without its `:serialized:` part, unread."""
    return {
        key: {inner: part for inner, part in value.items() if inner != ":serialized:"}
        if isinstance(value, dict)
        else value
        for key, value in data.items()
    }


def _space(entry: Any) -> spaces.Space | None:
    """The space in a pickle that holds only a space; None for any other."""
    try:
        return space_of(read_plain(base64.b64decode(entry[":serialized:"]), "the model's spaces"))
    except (ValueError, TypeError, KeyError):  # InputError is a ValueError
        return None


def _tensors(weights: bytes, path: Path) -> dict[str, Tensor]:
    buffer = io.BytesIO(weights)
    try:
        if zipfile.is_zipfile(buffer):
            with zipfile.ZipFile(buffer) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
            require_room(unpacked, f"the tensors of {path}", len(weights))
        tensors = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except InputError:
        raise
    except Exception as error:  # unknown bytes can make torch's unpickler raise any type of exception
        raise problem(
            "plain tensors under 'policy.pth'",
            f"a damaged file or other objects in {path}; such objects are never opened, as they can run any code",
            AGAIN,
        ) from error
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in tensors.items()
    ):
        raise problem("a dictionary of tensors by name under 'policy.pth'", f"something else in {path}", AGAIN)
    for name, tensor in tensors.items():
        _require_memory_of_its_own(name, tensor, path)
    require_room(sum(each.nbytes for each in tensors.values()), f"the tensors of {path}", len(weights))
    return tensors


def _require_memory_of_its_own(name: str, tensor: Tensor, path: Path) -> None:
    """Rejects a view that repeats a few numbers: a network of its size would then take any amount of memory."""
    dense = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    if not dense or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise problem(
            "tensors that store all their elements",
            f"{name} of shape {list(tensor.shape)} in {path}, which has fewer",
            AGAIN,
        )
