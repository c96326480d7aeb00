"""Observations and actions of demonstrations as tensors, which behavioral cloning reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rlgen.data import observations as tree
from rlgen.data.demonstrations import Demonstrations
from rlgen.data.observations import SharedRows

ROWS_AT_ONCE = 512
"""Rows of images that are evaluated at a time."""


@dataclass(frozen=True)
class Pairs:
    """R rows on one device: observations [R, O] (images uint8 [R, ...], or a dictionary of tensors) and actions [R, A].

    A part of them shares the images of the whole, as `SharedRows`.
    """

    observations: Any
    actions: Tensor

    @classmethod
    def of(cls, demonstrations: Demonstrations, device: torch.device | str) -> "Pairs":
        """All rows, on `device`."""
        if tree.is_flat(demonstrations.observations):  # without a copy of the next observations
            columns = (demonstrations.observations, demonstrations.actions)
            return cls(*(torch.tensor(column, device=device) for column in columns))
        batch = demonstrations.transitions(str(device))
        return cls(batch.observations, batch.actions)

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def device(self) -> torch.device:
        return self.actions.device

    def __getitem__(self, rows: Tensor | slice) -> "Pairs":
        return Pairs(tree.take(self.observations, rows), self.actions[rows])

    def part(self, rows: Tensor) -> "Pairs":
        """The rows [P], without a copy of images."""
        return Pairs(tree.each_entry(lambda each: _part(each, rows), self.observations), self.actions[rows])

    def draw(self, rows: int) -> "Pairs":
        """Random rows, with replacement."""
        return self[torch.randint(len(self), (rows,), device=self.device)]

    def batches(self) -> Iterator["Pairs"]:
        """All rows in order: vectors at once, images some at a time."""
        images = any(each.dtype == torch.uint8 for each in tree.entries(self.observations).values())
        for start in range(0, len(self), ROWS_AT_ONCE if images else len(self)):
            yield self[slice(start, start + ROWS_AT_ONCE)] if images else self


def _part(rows: Any, index: Tensor) -> Any:
    if isinstance(rows, SharedRows):
        return SharedRows(rows.store, rows.index[index])
    return SharedRows(rows, index) if rows.dtype == torch.uint8 else rows[index]
