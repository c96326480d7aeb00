"""Files of a generative model's run: a record of its data, its weights and their description."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from rlgen.errors import problem
from rlgen.generators.generative_model import GenerativeModel
from rlgen.runs.config import REMEDY, read_object, write_json
from rlgen.runs.folder import RunFolder
from rlgen.system.files import atomic_write

log = logging.getLogger("rlgen")
DATA = "data.json"
WEIGHTS, CARD = "model.safetensors", "model.json"
Kind = TypeVar("Kind")
Model = TypeVar("Model", bound=GenerativeModel)
Prints = Mapping[str, Mapping[str, Any]]
"""Name, number (n) and sha256 of the data of each split."""


def note_data(folder: RunFolder, prints: Prints) -> None:
    """Write FOLDER/data.json."""
    write_json(folder / DATA, prints)


def require_noted_data(folder: RunFolder, prints: Prints, what: str) -> None:
    """Raise `InputError` unless the data are those that the run recorded; log a warning if it recorded none. `what`:
    their plural, such as images."""
    if not (folder / DATA).is_file():
        log.warning("%s has no record of its %s, so they are not compared", folder.path, what)
        return
    noted = noted_data(folder, tuple(prints), what)
    for split, now in prints.items():
        then = noted[split]
        if now["sha256"] != then["sha256"]:
            got = f"{now['n']} of {now['name']} with the sha256 {str(now['sha256'])[:12]}"
            was = f"{then['n']} of {then['name']} with the sha256 {str(then['sha256'])[:12]}"
            raise problem(
                f"the {split} {what} of the run, {was}",
                got,
                f"put the same files at {folder.config.get('data')}; if they are, an earlier version read them "
                "differently: use it, or train again in another folder",
            )


def noted_data(folder: RunFolder, splits: tuple[str, ...], what: str) -> dict[str, dict[str, Any]]:
    """Number, name and sha256 of the data (n, name, sha256) of each of `splits` that the run recorded; empty without a
    record. Raises `InputError` for a damaged one."""
    if not (folder / DATA).is_file():
        return {}
    noted = read_object(folder / DATA)
    for split in splits:
        then = noted.get(split)
        if not isinstance(then, dict) or not {"n", "name", "sha256"} <= then.keys():
            raise problem(f"the number, name and sha256 of {split} {what} in {folder / DATA}", repr(then)[:80], REMEDY)
    return {split: noted[split] for split in splits}


def save_model(
    folder: str | os.PathLike[str], model: GenerativeModel, kinds: Mapping[str, type[Any]], card: Mapping[str, Any]
) -> None:
    """Write FOLDER/model.safetensors, and FOLDER/model.json with the model's name among `kinds` and the `card`."""
    name = next(name for name, kind in kinds.items() if kind is type(model))
    weights = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in model.state_dict().items()}
    atomic_write(Path(folder) / WEIGHTS, save(weights))
    write_json(Path(folder) / CARD, {"model": name, **card, "config": model.config})


def read_card(folder: str | os.PathLike[str], kinds: Mapping[str, type[Kind]]) -> tuple[type[Kind], dict[str, Any]]:
    """The class among `kinds` that FOLDER/model.json names, and the contents of that file."""
    path = Path(folder) / CARD
    card = read_object(path)
    if str(card.get("model")) not in kinds:
        got = f"{card.get('model')!r} in {path}"
        raise problem(
            f"a model of {', '.join(kinds)}", got, "give another run, or use the version of rlgen that wrote it"
        )
    return kinds[card["model"]], card


def with_weights(model: Model, name: str, folder: str | os.PathLike[str], device: str | torch.device) -> Model:
    """`model`, which FOLDER/model.json describes, with the weights of FOLDER/model.safetensors, in evaluation mode.
    Raises `InputError` for those of another model, and damaged ones."""
    path = Path(folder) / WEIGHTS
    try:
        model.load_state_dict(load(path.read_bytes()))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise problem(f"the weights of {name} in {path}", str(error), "train again") from error
    return model.to(device).eval()
