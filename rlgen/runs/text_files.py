"""Files of a language model's or sentence VAE's run: its weights, configuration and tokenizer."""

import os
from pathlib import Path
from typing import Any

import torch

from rlgen.data.sentence_model import SentenceModel
from rlgen.data.text_model import TextModel
from rlgen.data.tokenizers import Tokenizer, from_json
from rlgen.errors import problem
from rlgen.generators.language_model import LanguageModel
from rlgen.generators.registry import TEXT_MODELS
from rlgen.generators.sentence_vae import Reader, SentenceVAE
from rlgen.runs.bert_files import load_reader, save_reader
from rlgen.runs.config import read_json, restored, write_json
from rlgen.runs.gpt2_files import load_gpt2
from rlgen.runs.model_files import CARD, read_card, save_model, with_weights
from rlgen.runs.published_files import is_published

TOKENIZER = "tokenizer.json"
MOST_TOKENS = 10_000_000
"""Largest vocabulary that a file may ask for."""


def save_tokenizer(folder: str | os.PathLike[str], tokenizer: Tokenizer) -> None:
    """Write FOLDER/tokenizer.json."""
    write_json(Path(folder) / TOKENIZER, tokenizer.to_json())


def load_tokenizer(folder: str | os.PathLike[str]) -> Tokenizer:
    """The tokenizer of a run folder. Raises `InputError` if there is none."""
    path = Path(folder) / TOKENIZER
    return from_json(read_json(path), path)


def save_text_model(folder: str | os.PathLike[str], saved: TextModel | SentenceModel) -> None:
    """Write FOLDER/model.safetensors, FOLDER/model.json and FOLDER/tokenizer.json, and of a sentence VAE with another
    encoder FOLDER/encoder.json."""
    save_tokenizer(folder, saved.tokenizer)
    if isinstance(saved, SentenceModel):
        save_reader(folder, saved.model.reader)
    save_model(folder, saved.model, TEXT_MODELS, {"vocabulary": saved.model.vocabulary})


def load_text_model(folder: str | os.PathLike[str], device: str | torch.device = "cpu") -> TextModel | SentenceModel:
    """The trained language model or sentence VAE of a run folder with its tokenizer, or a published GPT-2 (see
    `load_gpt2`): `load_text_model("runs/text").sample()`.

    Raises `InputError` if there is none, or one that this version cannot build.
    """
    if not (Path(folder) / CARD).is_file() and is_published(folder):
        found = load_gpt2(folder)
        return TextModel(found.model.to(device), found.tokenizer)
    kind, card = read_card(folder, TEXT_MODELS)
    place = Path(folder) / CARD
    vocabulary: int = restored(int, card.get("vocabulary"), f"vocabulary in {place}")
    if not 1 < vocabulary <= MOST_TOKENS:
        raise problem(f"a vocabulary of 2 to {MOST_TOKENS:,} tokens in {place}", str(vocabulary), "train again")
    config: Any = restored(kind.config_type, card.get("config"), f"config in {place}")
    tokenizer = load_tokenizer(folder)
    with torch.random.fork_rng(devices=[]):  # building draws initial weights, which are replaced
        model = built(kind, vocabulary, config, load_reader(folder, tokenizer))
    model = with_weights(model, card["model"], folder, device)
    return SentenceModel(model, tokenizer) if isinstance(model, SentenceVAE) else TextModel(model, tokenizer)


def built(
    kind: type[LanguageModel] | type[SentenceVAE], vocabulary: int, config: Any, reader: Reader | None
) -> LanguageModel | SentenceVAE:
    """A model of the class `kind` with new weights; a sentence VAE with the encoder `reader`, if there is one."""
    return SentenceVAE(vocabulary, config, reader) if issubclass(kind, SentenceVAE) else kind(vocabulary, config)
