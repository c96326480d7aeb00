"""A model of tokens with its tokenizer: the base of models that read and write texts."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from rlgen.data.tokenizers import Tokenizer
from rlgen.errors import problem
from rlgen.generators.language_model import LanguageModel
from rlgen.generators.sentence_vae import SentenceVAE

Model = TypeVar("Model", LanguageModel, SentenceVAE)


@dataclass(frozen=True)
class TokenizedModel(Generic[Model]):
    """A model of the tokens of a tokenizer. Raises `InputError` for a tokenizer of another number of tokens."""

    model: Model
    tokenizer: Tokenizer

    def __post_init__(self) -> None:
        if self.model.vocabulary != self.tokenizer.size:
            got = f"{self.tokenizer.size} of the tokenizer"
            raise problem(f"the {self.model.vocabulary} tokens of the model", got, "take both from one run")

    @property
    def device(self) -> torch.device:
        return self.model.embedding.weight.device
