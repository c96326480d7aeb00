"""Files of an image model's run: a record of its training images, its weights and configuration."""

import logging
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from rlgen.data.images import ImageSet, fingerprint
from rlgen.errors import problem
from rlgen.generators.image_model import ImageModel, ImageShape
from rlgen.generators.registry import GENERATORS
from rlgen.runs.config import REMEDY, read_object, restored, write_json
from rlgen.runs.folder import RunFolder
from rlgen.system.files import atomic_write

log = logging.getLogger("rlgen")
DATA = "data.json"


def note_images(folder: RunFolder, train: ImageSet, test: ImageSet) -> None:
    """Write FOLDER/data.json."""
    write_json(folder / DATA, {"train": fingerprint(train), "test": fingerprint(test)})


def require_noted_images(folder: RunFolder, train: ImageSet, test: ImageSet) -> None:
    """Raise `InputError` unless these are the images that the run recorded; log a warning if it recorded none."""
    if not (folder / DATA).is_file():
        log.warning("%s has no record of its images, so they are not compared", folder.path)
        return
    noted = noted_images(folder)
    for split, images in (("train", train), ("test", test)):
        now, then = fingerprint(images), noted[split]
        if now["sha256"] != then["sha256"]:
            got = f"{now['n']} of {now['name']} with the sha256 {str(now['sha256'])[:12]}"
            was = f"{then['n']} of {then['name']} with the sha256 {str(then['sha256'])[:12]}"
            raise problem(
                f"the {split} images of the run, {was}",
                got,
                f"put the same files at {folder.config.get('data')}, or train again in another folder",
            )


def noted_images(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """Number, name and sha256 of the images (n, name, sha256) for train and test that the run recorded; empty without a
    record. Raises `InputError` for a damaged one."""
    if not (folder / DATA).is_file():
        return {}
    noted = read_object(folder / DATA)
    for split in ("train", "test"):
        then = noted.get(split)
        if not isinstance(then, dict) or not {"n", "name", "sha256"} <= then.keys():
            raise problem(f"the number, name and sha256 of {split} images in {folder / DATA}", repr(then)[:80], REMEDY)
    return {split: noted[split] for split in ("train", "test")}


WEIGHTS, CARD = "model.safetensors", "model.json"


def save_image_model(folder: str | os.PathLike[str], model: ImageModel) -> None:
    """Write FOLDER/model.safetensors and FOLDER/model.json. The model's class must be registered."""
    name = next(name for name, kind in GENERATORS.items() if kind is type(model))
    weights = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in model.state_dict().items()}
    atomic_write(Path(folder) / WEIGHTS, save(weights))
    write_json(Path(folder) / CARD, {"model": name, "shape": model.shape, "config": model.config})


def load_image_model(folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> ImageModel:
    """The trained model of a run folder, in evaluation mode: `load_image_model("runs/digits-vae").sample(16)`.

    Raises `InputError` if there is none, or one that this version cannot build.
    """
    path = Path(folder)
    card = read_object(path / CARD)
    if str(card.get("model")) not in GENERATORS:
        got = f"{card.get('model')!r} in {path / CARD}"
        raise problem(f"a model of {', '.join(GENERATORS)}", got, "use the version of rlgen that wrote it")
    kind = GENERATORS[card["model"]]
    settings = {"shape": ImageShape, "config": kind.config_type}
    shape, config = (restored(hint, card.get(name), f"{name} in {path / CARD}") for name, hint in settings.items())
    # Building draws initial weights, which are replaced; the state of the random generator is restored afterwards.
    with torch.random.fork_rng(devices=[]):
        model = kind(shape, config)
    try:
        model.load_state_dict(load((path / WEIGHTS).read_bytes()))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise problem(f"the weights of {card['model']} in {path / WEIGHTS}", str(error), "train again") from error
    return model.to(device).eval()
