"""Files of a run on instructions: the model of instructions, and its speaker in a folder of its own."""

import os
from pathlib import Path
from typing import Any

import torch

from rlgen.errors import problem
from rlgen.generators.instruction_model import InstructionModel
from rlgen.generators.registry import INSTRUCTION_MODELS
from rlgen.generators.speaker import Speaker
from rlgen.runs.config import restored
from rlgen.runs.model_files import CARD, read_card, save_model, with_weights

SPEAKER = "speaker"
"""Folder of the speaker within that of a run, and its name in model.json."""
SIZES = {"vocabulary": 1_000_000, "length": 10_000, "actions": 10_000}
"""Largest sizes that a file may ask for."""


def save_instruction_model(folder: str | os.PathLike[str], model: InstructionModel) -> None:
    """Write FOLDER/model.safetensors and FOLDER/model.json."""
    sizes = {name: getattr(model, name) for name in SIZES}
    own = {"own_words": list(model.own_words)} if model.own_words else {}
    save_model(folder, model, INSTRUCTION_MODELS, sizes | own)


def save_speaker(folder: str | os.PathLike[str], speaker: Speaker) -> None:
    """Write the speaker of a run into FOLDER/speaker."""
    place = Path(folder) / SPEAKER
    place.mkdir(exist_ok=True)
    save_model(place, speaker, {SPEAKER: Speaker}, {name: getattr(speaker, name) for name in SIZES})


def load_instruction_model(folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> InstructionModel:
    """The model of a run of `rlgen train instruction`, in evaluation mode. Raises `InputError` if there is none, or one
    that this version cannot build."""
    model = _loaded(folder, INSTRUCTION_MODELS, device)
    _, card = read_card(folder, INSTRUCTION_MODELS)
    model.own_words = restored(tuple[str, ...], card.get("own_words", []), f"own_words in {Path(folder) / CARD}")
    return model


def load_speaker(folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> Speaker:
    """The speaker of a run of `rlgen train instruction --speaker on`, in evaluation mode:
    `load_speaker("runs/pretrained").write(trajectories)`. Raises as `load_instruction_model`."""
    return _loaded(Path(folder) / SPEAKER, {SPEAKER: Speaker}, device)


def _loaded(folder: str | os.PathLike[str], kinds: Any, device: str | torch.device) -> Any:
    kind, card = read_card(folder, kinds)
    place = Path(folder) / CARD
    sizes: dict[str, int] = {name: restored(int, card.get(name), f"{name} in {place}") for name in SIZES}
    for name, most in SIZES.items():
        if not 1 <= sizes[name] <= most:
            raise problem(f"a {name} of 1 to {most:,} in {place}", str(sizes[name]), "train again")
    config: Any = restored(kind.config_type, card.get("config"), f"config in {place}")
    with torch.random.fork_rng(devices=[]):  # building draws initial weights, which are replaced
        model = kind(**sizes, config=config)
    return with_weights(model, card["model"], folder, device)
