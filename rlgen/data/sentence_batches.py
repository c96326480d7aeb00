"""Endless minibatches of sentences."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rlgen.data.shuffled import Shuffled
from rlgen.nn.padding import padded


class SentenceBatches:
    """Endless minibatches of `size` sentences of tokens, int64 [B, T], padded to the longest of the minibatch, on
    `device`.

    Each epoch goes through the sentences in a new random order (`Shuffled`).
    """

    def __init__(self, sentences: Sequence[Tensor], size: int, seed: int = 0, device: torch.device | str | None = None):
        self.sentences, self.size, self.device = tuple(sentences), size, device
        self.shuffled = Shuffled(len(self.sentences), size, seed, "sentences")

    @property
    def of_epoch(self) -> int:
        """Number of sentences, all of which an epoch goes through."""
        return len(self.sentences)

    def __iter__(self) -> Iterator[tuple[Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor]:
        chosen = self.shuffled.draw().tolist()
        return (padded([self.sentences[each] for each in chosen]).to(self.device),)

    def state_dict(self) -> dict[str, Any]:
        return self.shuffled.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues a stream over as many sentences."""
        self.shuffled.load_state_dict(state)
