"""Random features of observations: what a curiosity sees of images and dictionaries."""

from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from rlgen.data import observations as tree
from rlgen.data.spaces import is_codes, is_image, with_entries
from rlgen.data.transitions import Transitions
from rlgen.nn.conv import strided_encoder
from rlgen.rewards.observation_rows import ROWS_AT_ONCE, Image, entry_of

FILTERS, SIZE = 16, 64
"""Channels after the encoder's first convolution, and features of an image."""


class RandomFeatures(nn.Module):
    """Maps observations of `space` to rows [B, `size`] of floats: an image to features of a fixed random convolutional
    encoder (Burda et al. 2019, 1808.04355, section 2.1), all else flattened, discrete values and codes one-hot."""

    def __init__(self, space: Any):
        super().__init__()
        self.entries = {name: entry_of(inner) for name, inner in sorted(with_entries(space).items())}
        # A module's name has no dot, an entry's may have.
        self.encoders = nn.ModuleList(
            random_encoder(entry.shape) for entry in self.entries.values() if isinstance(entry, Image)
        )
        self.requires_grad_(False)
        self.size = features_size(space)

    @torch.no_grad()
    def forward(self, observations: Any) -> Tensor:
        given, rows = tree.entries(observations), tree.count(observations)
        parts = []
        for start in range(0, rows, ROWS_AT_ONCE):
            some, encoders = slice(start, start + ROWS_AT_ONCE), iter(self.encoders)
            parts.append(torch.cat([self._features(name, given[name][some], encoders) for name in self.entries], 1))
        return torch.cat(parts)

    def _features(self, name: str, rows: Tensor, encoders: Any) -> Tensor:
        entry = self.entries[name]
        if isinstance(entry, Image):
            return next(encoders)(entry.varying(rows).movedim(-1, 1))
        return entry.varying(rows)

    def of(self, batch: Transitions[Any]) -> Transitions:
        """The same transitions with features for observations."""
        before, after = self(batch.observations), self(batch.next_observations)
        return Transitions(before, batch.actions, after, batch.terminated, batch.truncated)


def features_size(space: Any) -> int:
    """Size of a row of features, or of a flat observation."""
    entries = (entry_of(inner) for inner in with_entries(space).values())
    return sum(SIZE if isinstance(entry, Image) else entry.size for entry in entries)


def features_for(space: Any, device: torch.device | str) -> RandomFeatures | None:
    """Features of observations of `space`; None for vectors and windows, which networks read as they are."""
    if isinstance(space, spaces.Box) and not is_image(space) and not is_codes(space):
        return None
    return RandomFeatures(space).to(device)


def random_encoder(shape: tuple[int, int, int]) -> nn.Sequential:
    """A network from images [B, C, H, W] to features [B, SIZE], with weights that preserve the variance of signals."""
    encoder, size = strided_encoder(*shape, FILTERS)
    last = nn.Linear(size, SIZE, bias=False)
    nn.init.orthogonal_(last.weight)
    return nn.Sequential(encoder, last)
