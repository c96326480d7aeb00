"""A trained image model as two files: its weights in safetensors, and its configuration in JSON."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from rlgen.errors import problem
from rlgen.generators.image_model import ImageModel, ImageShape
from rlgen.generators.registry import GENERATORS
from rlgen.runs.config import restored
from rlgen.runs.json_file import read_object, write_json
from rlgen.system.atomic import atomic_write

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
