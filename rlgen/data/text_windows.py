"""Endless minibatches of windows of a text."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from rlgen.errors import problem


class TextWindows:
    """Endless minibatches of `rows` windows of `length` tokens, int64 [B, T], on the device of the text. Each window
    starts at a place drawn evenly from all that leave room for it, by a CPU generator with a seed, so that they are the
    same on every device."""

    def __init__(self, tokens: Int64[Tensor, " N"], rows: int, length: int, seed: int = 0):
        if rows < 1 or length < 1:
            raise problem("windows of at least one token, at least one at a time", f"{rows} of {length}", "correct it")
        if len(tokens) < length:
            got = f"a text of {len(tokens):,} tokens"
            raise problem(f"a text of at least {length:,} tokens, one window", got, "give a longer text")
        self.tokens, self.rows, self.length = tokens, rows, length
        self.generator = torch.Generator().manual_seed(seed)

    @property
    def size(self) -> int:
        """Number of tokens of a minibatch."""
        return self.rows * self.length

    @property
    def of_epoch(self) -> int:
        """Number of tokens, as many as an epoch draws."""
        return len(self.tokens)

    def __iter__(self) -> Iterator[tuple[Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor]:
        starts = torch.randint(len(self.tokens) - self.length + 1, (self.rows,), generator=self.generator)
        places = starts[:, None] + torch.arange(self.length)
        return (self.tokens[places.to(self.tokens.device)],)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.set_state(state["generator"].cpu())
