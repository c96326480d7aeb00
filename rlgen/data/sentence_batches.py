"""Endless minibatches of sentences."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rlgen.errors import problem
from rlgen.nn.padding import padded


class SentenceBatches:
    """Endless minibatches of `size` sentences of tokens, int64 [B, T], padded to the longest of the minibatch, on
    `device`.

    Each epoch goes through the sentences in a new random order, drawn by a CPU generator with a seed. Batches are
    always full: the last one of an epoch takes its missing sentences from the next.
    """

    def __init__(self, sentences: Sequence[Tensor], size: int, seed: int = 0, device: torch.device | str | None = None):
        if size < 1 or not sentences:
            raise problem("at least one sentence at a time", f"{size} of {len(sentences)}", "correct these")
        self.sentences, self.size, self.device = tuple(sentences), size, device
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.empty(0, dtype=torch.int64)
        """Numbers of the sentences that come next."""

    @property
    def of_epoch(self) -> int:
        """Number of sentences, all of which an epoch goes through."""
        return len(self.sentences)

    def __iter__(self) -> Iterator[tuple[Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor]:
        while len(self.order) < self.size:
            self.order = torch.cat([self.order, torch.randperm(len(self.sentences), generator=self.generator)])
        chosen, self.order = self.order[: self.size].tolist(), self.order[self.size :]
        return (padded([self.sentences[each] for each in chosen]).to(self.device),)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state(), "order": self.order.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues a stream over as many sentences."""
        order = state["order"].cpu().clone()
        if len(order) and not 0 <= int(order.min()) <= int(order.max()) < len(self.sentences):
            got = f"one of {int(order.max()) + 1:,} or more"
            raise problem(f"an order of {len(self.sentences):,} sentences", got, "load the same sentences")
        self.generator.set_state(state["generator"].cpu())
        self.order = order
