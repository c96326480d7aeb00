"""What can be read of a Stable-Baselines3 .zip without unpickling: plain JSON values and tensors.

A saved model holds Python objects as base64 pickles (`:serialized:` in the JSON). Opening them would run whatever code
the file's author put there, so they are dropped here; `policy.pth` goes through torch's safe unpickler.
"""

import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlgen.errors import problem


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """A model's description and the tensors of its policy, on the CPU."""

    path: Path
    data: dict[str, Any]
    """The constructor's values. Of pickled objects only the texts that SB3 writes beside them."""

    tensors: dict[str, Tensor]
    """`policy.state_dict()`."""


def read_saved_model(path: Path) -> SavedModel:
    """Reads `data` and `policy.pth` of the .zip.

    Raises:
        InputError: no such file, not an SB3 model, cut or damaged, or tensors that need unpickling.
    """
    if not path.is_file():
        raise problem("a model saved by Stable-Baselines3 (.zip)", f"{path}, where no file lies", "check the path")
    try:
        with zipfile.ZipFile(path) as archive:
            data, weights = archive.read("data"), archive.read("policy.pth")
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError) as error:
        raise problem(
            "a model saved by Stable-Baselines3: a .zip with 'data' and 'policy.pth'",
            f"{path}, which is something else, cut or damaged ({error})",
            "save it again with model.save(path)",
        ) from error
    return SavedModel(path=path, data=_plain_values(data, path), tensors=_tensors(weights, path))


def _plain_values(text: bytes, path: Path) -> dict[str, Any]:
    """The JSON object with every `:serialized:` entry removed, unread."""
    try:
        data = json.loads(text, object_hook=lambda entry: {k: v for k, v in entry.items() if k != ":serialized:"})
    except ValueError as error:
        raise problem("JSON under 'data'", f"{error} in {path}", "save the model again") from error
    if not isinstance(data, dict):
        raise problem("a JSON object under 'data'", f"{type(data).__name__} in {path}", "save the model again")
    return data


def _tensors(weights: bytes, path: Path) -> dict[str, Tensor]:
    try:
        tensors = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except Exception as error:  # foreign bytes make torch's unpickler stumble with any type of exception
        raise problem(
            "plain tensors under 'policy.pth'",
            f"a damaged file or other objects in {path}; such objects are never opened, as they can run any code",
            "save the model again with an unmodified Stable-Baselines3",
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise problem("a dictionary of tensors under 'policy.pth'", f"something else in {path}", "save the model again")
    return tensors
