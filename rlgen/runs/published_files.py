"""Folders of published models in the form of Hugging Face's package transformers: config.json, model.safetensors and
tokenizer.json. Nothing is downloaded or run."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from rlgen.errors import problem, reason
from rlgen.runs.config import read_object, restored
from rlgen.system.memory import require_room

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
PICKLES = ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack")
COPIES = 3
"""Bytes of memory per byte of the weights: those of the file, of the model, and of a part that is converted."""


def is_published(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has a config.json of the package transformers."""
    path = Path(folder) / CONFIG
    return path.is_file() and "model_type" in read_object(path)


def read_config(folder: Path, kind: str, network: str, required: Mapping[str, Any], remedy: str) -> dict[str, Any]:
    """The config.json of a model of the type `kind` with the settings `required`, which are also those of a file
    without them. Raises `InputError` for another kind of model, with this `remedy`, or another `network`."""
    place = folder / CONFIG
    found = read_object(place)
    if found.get("model_type") != kind:
        raise problem(f"a model of the type {kind}", f"{found.get('model_type')!r} in {place}", remedy)
    for name, value in required.items():
        if found.get(name, value) != value:
            got = f"{name} {found[name]!r} in {place}"
            raise problem(f"the network of {network}, with {name} {value!r}", got, "take another model")
    return found


def whole_numbers(found: Mapping[str, Any], names: tuple[str, ...], folder: Path) -> dict[str, int]:
    """The whole numbers of these names in a config.json. Raises `InputError` where one is missing or no such number."""
    return {name: restored(int, found.get(name), f"{name} in {folder / CONFIG}") for name in names}


def read_weights(folder: Path, kind: str, prefix: str) -> dict[str, Tensor]:
    """The tensors of the folder's file by name without `prefix`, in float32. `kind`: the class of the package
    transformers that converts a pickle. Raises `InputError` for files that are missing, damaged or not finite."""
    path = folder / WEIGHTS
    if not path.is_file():
        pickles = [name for name in PICKLES if (folder / name).is_file()]
        got = f"only {', '.join(pickles)}, which can run code when it is read" if pickles else "none"
        convert = f"{kind}.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})"
        remedy = f"convert it where you trust it, by the package transformers: {convert}" if pickles else "get it again"
        raise problem(f"weights in {path}", got, remedy)
    require_room(COPIES * path.stat().st_size, f"the weights {path}")
    try:
        found = {name.removeprefix(prefix): tensor.float() for name, tensor in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise problem(f"safetensors in {path}", reason(error), "get it again") from error
    for name, tensor in found.items():
        if not bool(tensor.isfinite().all()):
            raise problem(f"finite numbers in {path}", f"NaN or an infinity in {name}", "get it again")
    return found
