"""Where a training of texts starts: the weights, tokenizer and sizes of another run, or of a published GPT-2."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlgen.data.sentence_model import SentenceModel
from rlgen.data.text_model import TextModel
from rlgen.data.tokenizers import BPETokenizer
from rlgen.errors import problem
from rlgen.generators.language_model import LanguageModel, LanguageModelConfig
from rlgen.generators.registry import TEXT_MODELS
from rlgen.generators.sentence_vae import SentenceVAE, SentenceVAEConfig
from rlgen.runs.config import read_json, read_object, restored, write_json
from rlgen.runs.folder import RunFolder
from rlgen.runs.gpt2_files import describe
from rlgen.runs.model_files import CARD, read_card
from rlgen.runs.published_files import is_published
from rlgen.runs.text_files import TOKENIZER, load_text_model

NOTE = "start.json"
"""File of a run with the description of its start, which is needed when that is gone."""
SIZES = ("network", "width", "depth", "heads")
"""Settings of a model that the weights of its networks determine."""
OF_LATENTS = ("latent", "injection")
"""Settings that the weights of a sentence VAE determine too."""
POSITIONS = "positions.weight"


@dataclass(frozen=True)
class TextStart:
    """A trained model from which another training starts."""

    path: Path
    model: str
    """Its name among `TEXT_MODELS`."""
    config: Any
    tokenizer: str
    """Kind of its tokenizer."""
    vocabulary: int
    origin: str
    """What it is, for results."""

    @classmethod
    def of(cls, path: Path) -> "TextStart":
        """The model of a run folder, also a published one, or a GPT-2 in the form of the package transformers. Its
        weights are not read yet. Raises `InputError` if there is none."""
        if not (path / CARD).is_file():
            if path.is_dir() and is_published(path):
                config, vocabulary, _ = describe(path)
                return cls(path, "lm", config, BPETokenizer.kind, vocabulary, f"the published GPT-2 {path.name}")
            got = "neither" if path.is_dir() else "no folder"
            expected = f"a finished run of `rlgen train text` or a GPT-2 (config.json, model.safetensors) in {path}"
            raise problem(expected, got, "check the path, or finish that run")
        kind, card = read_card(path, TEXT_MODELS)
        vocabulary = restored(int, card.get("vocabulary"), f"vocabulary in {path / CARD}")
        config = restored(kind.config_type, card.get("config"), f"config in {path / CARD}")
        written = read_json(path / TOKENIZER)
        tokenizer = str(written.get("kind")) if isinstance(written, dict) else ""
        return cls(path, card["model"], config, tokenizer, vocabulary, _origin(path, card["model"]))

    def settings(self, model: str) -> Any:
        """The settings of a `model` that starts here. Raises `InputError` if it cannot."""
        if model == self.model:
            return self.config
        if not isinstance(self.config, LanguageModelConfig) or self.config.network == "lstm":
            got = f"--model {model} from {self.origin}"
            expected = "a start from a model of the same kind, or of a vae from the Transformer of a language model"
            raise problem(expected, got, "take another start")
        shared = ("width", "depth", "heads", "dropout", "network", "learning_rate", "weight_decay")
        config = SentenceVAEConfig(**{name: getattr(self.config, name) for name in shared})
        limit = self.config.context - 1  # the start symbol has a position too
        return replace(config, context=limit) if self.config.network == "gpt2" else config

    def require(self, model: str, config: Any, tokenizer: str, vocabulary: int) -> None:
        """Raise `InputError` unless these are the sizes and the tokenizer of the start."""
        own = self.settings(model)
        conflicts = [
            (f"--{model}.{name}", getattr(config, name), getattr(own, name))
            for name in (*SIZES, *(OF_LATENTS if self.model == model == "vae" else ()))
            if getattr(config, name) != getattr(own, name)
        ]
        if own.network == "gpt2" and config.context > own.context:
            conflicts.append((f"--{model}.context", config.context, f"at most {own.context}"))
        if tokenizer != self.tokenizer:
            conflicts.append(("--tokenizer", tokenizer, self.tokenizer))
        elif tokenizer == BPETokenizer.kind and vocabulary != self.vocabulary:
            conflicts.append(("--vocabulary", vocabulary, self.vocabulary))
        for option, given, wanted in conflicts:
            raise problem(f"{option} {wanted}, as in {self.origin}", str(given), f"leave {option} out")

    def load(self) -> TextModel | SentenceModel:
        """The trained model with its tokenizer."""
        return load_text_model(self.path)


def note_origin(folder: RunFolder, origin: str) -> None:
    """Write FOLDER/start.json."""
    write_json(folder / NOTE, {"origin": origin})


def noted_origin(folder: RunFolder | None) -> str | None:
    """The origin that a run noted; None without one."""
    if folder is None or not (folder / NOTE).is_file():
        return None
    origin: str = restored(str, read_object(folder / NOTE).get("origin"), f"origin in {folder / NOTE}")
    return origin


def _origin(path: Path, model: str) -> str:
    """What a run is, in words: its name, model, data and length, as far as its result says."""
    result = read_object(path / "result.json") if (path / "result.json").is_file() else {}
    metrics = result.get("metrics")
    data = metrics.get("data") if isinstance(metrics, dict) else None
    steps = result.get("steps")
    said = f" of {data}" if isinstance(data, str) else ""
    length = f", {steps:,} updates" if isinstance(steps, int) else ""
    return f"the run {path.resolve().name} ({model}{said}{length})"


@torch.no_grad()
def start_from(model: LanguageModel | SentenceVAE, found: LanguageModel | SentenceVAE) -> None:
    """Gives `model` the weights of `found`, which has the same sizes. Of learned positions it takes the first ones.

    A sentence VAE may start from a language model: its encoder, without causality, and its decoder then both have the
    weights of the language model's network, as in Fang et al. 2021 (2101.00828), its start and end symbols the vector
    of the start symbol, and its symbol for unknown the mean vector of all tokens. A VAE with another encoder only has
    its decoder from there."""
    own, weights = model.state_dict(), found.state_dict()
    weights.pop("updates", None)  # cycles of β start again
    if isinstance(model, SentenceVAE) and isinstance(found, LanguageModel):
        weights = _of_both_networks(weights, ("decoder",) if model.encoder is None else ("encoder", "decoder"))
    for name in weights:
        if name.endswith(POSITIONS):
            weights[name] = weights[name][: len(own[name])]
    model.load_state_dict({**own, **weights})


def _of_both_networks(weights: Mapping[str, Tensor], parts: tuple[str, ...]) -> dict[str, Tensor]:
    found = {
        f"{part}.{name.removeprefix('network.')}": tensor
        for name, tensor in weights.items()
        for part in parts
        if name.startswith("network.")
    }
    embedding = weights["embedding.weight"]
    start, unknown = embedding[-1:], embedding[:-1].mean(0, keepdim=True)
    return {**found, "embedding.weight": torch.cat([embedding[:-1], start, start, unknown])}
