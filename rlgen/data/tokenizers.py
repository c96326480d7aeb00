"""Tokenizers: from texts to tokens and back, without loss."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Int64
from torch import Tensor

from rlgen.errors import InputError, problem

BYTES = 256


class Tokenizer(ABC):
    """A map from texts to tokens 0 to `size` - 1, and back. `decode(encode(text))` is `text`, whatever the text."""

    kind: ClassVar[str]
    """Name on the command line."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of tokens of the vocabulary."""

    @abstractmethod
    def encode(self, text: str) -> Int64[Tensor, " T"]:
        """The tokens of a text."""

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; what is no UTF-8, as samples may have it, becomes U+FFFD."""

    def to_json(self) -> dict[str, Any]:
        """The tokenizer as JSON, from which `from_json` makes it again."""
        return {"kind": self.kind}


class ByteTokenizer(Tokenizer):
    """The bytes of a text in UTF-8. It learns nothing, and has a token for every text."""

    kind = "bytes"

    @property
    def size(self) -> int:
        return BYTES

    def encode(self, text: str) -> Int64[Tensor, " T"]:
        return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8).long() if text else torch.empty(0).long()

    def decode(self, tokens: Sequence[int]) -> str:
        return bytes(tokens).decode(errors="replace")


class BPETokenizer(Tokenizer):
    """Byte-pair encoding: frequent sequences of bytes within words are tokens. Sennrich et al. 2016 (1508.07909), over
    bytes as in GPT-2 (Radford et al. 2019, section 2.2); by the package tokenizers. Every byte is a token, so it has
    tokens for every text."""

    kind = "bpe"

    def __init__(self, description: str):
        """`description`: JSON of the package tokenizers."""
        self._tokenizer = tokenizers_package().Tokenizer.from_str(description)

    @classmethod
    def fitted(cls, text: str, size: int) -> "BPETokenizer":
        """A vocabulary of at most `size` tokens, learned from a text."""
        if size <= BYTES:
            raise problem(f"a vocabulary of more than {BYTES} tokens, the bytes", f"{size}", "use e.g. 1024")
        package = tokenizers_package()
        made = package.Tokenizer(package.models.BPE())
        made.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = package.decoders.ByteLevel()
        alphabet = package.pre_tokenizers.ByteLevel.alphabet()
        trainer = package.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        made.train_from_iterator(text.splitlines(keepends=True), trainer)
        return cls(made.to_str())

    @property
    def size(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def encode(self, text: str) -> Int64[Tensor, " T"]:
        return torch.tensor(self._tokenizer.encode(text).ids, dtype=torch.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False))

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "description": json.loads(self._tokenizer.to_str())}


KINDS: dict[str, type[Tokenizer]] = {each.kind: each for each in (ByteTokenizer, BPETokenizer)}


def fitted(kind: str, text: str, size: int) -> Tokenizer:
    """A tokenizer of that kind for a training text; `size` is the vocabulary of one that learns it."""
    return ByteTokenizer() if kind == ByteTokenizer.kind else BPETokenizer.fitted(text, size)


def from_json(value: Any, path: str | Path) -> Tokenizer:
    """The inverse of `Tokenizer.to_json`. Raises `InputError`, naming the file `path`, for anything else."""
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind == ByteTokenizer.kind:
        return ByteTokenizer()
    if kind != BPETokenizer.kind:
        raise problem(f"a tokenizer {' or '.join(KINDS)} in {path}", repr(kind)[:80], "take the file that rlgen wrote")
    try:
        return BPETokenizer(json.dumps(value["description"]))
    except InputError:
        raise
    except Exception as error:  # the package raises Exception itself for a description that it cannot read
        said = f"{type(error).__name__}: {error}"[:200]
        raise problem(
            f"a tokenizer of the package tokenizers in {path}", said, "take the file that rlgen wrote"
        ) from error


def tokenizers_package(option: str = "--tokenizer bpe") -> Any:
    """The package tokenizers, imported where it is used. Raises `InputError` without it, naming the `option` that needs
    it."""
    try:
        import tokenizers
    except ImportError as error:
        remedy = f"pip install 'rlgen[text]', or leave {option} out"
        raise problem(f"the package tokenizers, for {option}", "a Python without it", remedy) from error
    import tokenizers.decoders
    import tokenizers.models
    import tokenizers.pre_tokenizers
    import tokenizers.trainers

    return tokenizers
