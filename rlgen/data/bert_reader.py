"""A BERT with its tokenizer, as the encoder of a sentence VAE."""

import json
from typing import Any

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor, nn

from rlgen.data.tokenizers import Tokenizer, tokenizers_package
from rlgen.errors import problem
from rlgen.nn.bert import Bert, BertSizes
from rlgen.nn.padding import padded, without_padding


class WordPieces:
    """The tokens that a published network reads a sentence as, with the symbols before and after it, by the package
    tokenizers. There is no way back from them: letters may have lost their case or accents."""

    def __init__(self, description: dict[str, Any]):
        """`description`: JSON of the package tokenizers. Its padding and truncation are left out."""
        self.description = {**description, "padding": None, "truncation": None}
        self._tokenizer = tokenizers_package("--encoder").Tokenizer.from_str(json.dumps(self.description))

    @property
    def size(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def encode(self, sentence: str) -> Int64[Tensor, " T"]:
        """The tokens of a sentence."""
        return torch.tensor(self._tokenizer.encode(sentence).ids, dtype=torch.int64)


class BertReader(nn.Module):
    """A BERT that reads the sentences of a VAE with other tokens: it gets them as text, and splits that its own way. Li
    et al. 2020 (Optimus, 2004.04092), section 3, where encoder and decoder have different tokens too.

    Sentences are split again each time, on the host: a wait for each minibatch on a GPU."""

    def __init__(self, sizes: BertSizes, pieces: WordPieces, written: Tokenizer, origin: str = ""):
        """`written`: the tokenizer of the VAE. `origin`: what the weights are, for results."""
        super().__init__()
        if pieces.size > sizes.vocabulary:
            got = f"{pieces.size:,} of its tokenizer"
            raise problem(f"at most the {sizes.vocabulary:,} tokens of the BERT", got, "take both from one model")
        self.network, self.pieces, self.written, self.origin = Bert(sizes), pieces, written, origin

    @property
    def width(self) -> int:
        return self.network.sizes.width

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B W"]:
        """Features of sentences of the VAE's tokens. Raises `InputError` for one that is too long."""
        sentences = [self.written.decode(row) for row in without_padding(tokens)]
        rows = [self.pieces.encode(each) for each in sentences]
        most, longest = self.network.sizes.positions, max(range(len(rows)), key=lambda row: len(rows[row]))
        if len(rows[longest]) > most:
            got = f"{len(rows[longest]):,} in {sentences[longest][:40]!r} …"
            raise problem(f"sentences of at most {most:,} tokens of the encoder", got, "leave out such sentences")
        return self.network.mean(padded(rows).to(tokens.device))
