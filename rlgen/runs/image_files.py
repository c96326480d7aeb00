"""Files of an image model's run: a record of its training images, its weights and configuration."""

import os
from pathlib import Path
from typing import Any

import torch

from rlgen.data.images import ImageSet, fingerprint
from rlgen.generators.image_model import ImageModel, ImageShape
from rlgen.generators.registry import GENERATORS
from rlgen.runs.config import restored
from rlgen.runs.folder import RunFolder
from rlgen.runs.model_files import CARD, read_card, require_noted_data, save_model, with_weights
from rlgen.runs.model_files import WEIGHTS as WEIGHTS


def prints_of(train: ImageSet, test: ImageSet) -> dict[str, dict[str, Any]]:
    """The fingerprints of a run's images, by split."""
    return {"train": fingerprint(train), "test": fingerprint(test)}


def require_noted_images(folder: RunFolder, train: ImageSet, test: ImageSet) -> None:
    """Raise `InputError` unless these are the images that the run recorded; log a warning if it recorded none."""
    require_noted_data(folder, prints_of(train, test), "images")


def save_image_model(folder: str | os.PathLike[str], model: ImageModel) -> None:
    """Write FOLDER/model.safetensors and FOLDER/model.json. The model's class must be registered."""
    save_model(folder, model, GENERATORS, {"shape": model.shape})


def load_image_model(folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> ImageModel:
    """The trained model of a run folder, in evaluation mode: `load_image_model("runs/digits-vae").sample(16)`.

    Raises `InputError` if there is none, or one that this version cannot build.
    """
    kind, card = read_card(folder, GENERATORS)
    settings = {"shape": ImageShape, "config": kind.config_type}
    place = Path(folder) / CARD
    shape, config = (restored(hint, card.get(name), f"{name} in {place}") for name, hint in settings.items())
    # Building draws initial weights, which are replaced; the state of the random generator is restored afterwards.
    with torch.random.fork_rng(devices=[]):
        model = kind(shape, config)
    return with_weights(model, card["model"], folder, device)
