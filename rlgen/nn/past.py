"""What networks keep of the earlier part of a sequence, so that a token is processed once."""

from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor


class Past:
    """The part of sequences that a network has read: its length, and by layer what later tokens need of it, such as
    keys and values of attention or the state of an LSTM. Empty at the start; `SequenceNetwork` fills it."""

    def __init__(self) -> None:
        self.length = 0
        self._kept: dict[object, tuple[Tensor, ...]] = {}

    def joined(self, layer: object, *new: Tensor) -> tuple[Tensor, ...]:
        """Each of the tensors `new` [..., T, F] of `layer` after those of the tokens before, along T."""
        before = self._kept.get(layer)
        found = new if before is None else tuple(torch.cat(pair, -2) for pair in zip(before, new, strict=True))
        self._kept[layer] = found
        return found

    def state(self, layer: object) -> tuple[Tensor, ...] | None:
        """The last state of a recurrent `layer`; None at the start."""
        return self._kept.get(layer)

    def keep(self, layer: object, state: tuple[Tensor, ...]) -> None:
        """Replace the state of a recurrent `layer`; or what `joined` puts before the tokens of another."""
        self._kept[layer] = state


class SequenceNetwork(Protocol):
    """A network from tokens to features, each of which depends on its own token and those before alone."""

    def __call__(self, tokens: Float[Tensor, "B T W"], past: Past | None = None) -> Float[Tensor, "B T W"]:
        """Features [B, T, W] of embedded tokens [B, T, W], which follow those of `past`, which then holds them too."""
        ...
