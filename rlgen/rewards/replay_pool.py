"""Pools of the past: rows of tensors, and transitions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rlgen import distributed
from rlgen.data.transitions import Transitions
from rlgen.errors import problem


class RowPool:
    """The last `capacity` rows of tensors [B, ...] that belong together, on the device of new ones."""

    def __init__(self, capacity: int):
        if capacity < 1:
            raise problem("a pool of 1 row or more", str(capacity), "use e.g. 100000")
        self.capacity, self.next, self.size = capacity, 0, 0
        self.tensors: list[Tensor] = []

    def __len__(self) -> int:
        return self.size

    def add_rows(self, tensors: Sequence[Tensor]) -> None:
        """Adds rows, over the oldest ones if the pool is full."""
        tensors = [each[-self.capacity :] for each in tensors]
        n, device = len(tensors[0]), tensors[0].device
        if not self.tensors:
            self.tensors = [each.new_zeros((self.capacity, *each.shape[1:])) for each in tensors]
        self.tensors = [each.to(device) for each in self.tensors]  # a checkpoint is loaded on the CPU
        where = (torch.arange(n, device=device) + self.next) % self.capacity
        for kept, value in zip(self.tensors, tensors, strict=True):
            kept[where] = value
        self.next = (self.next + n) % self.capacity
        self.size = min(self.size + n, self.capacity)

    def draw_rows(self, n: int) -> list[Tensor]:
        """`n` rows, with replacement, from the pools of all processes, none of which may be empty."""
        assert self.tensors, "the pool is empty"
        return distributed.draw(self.tensors, self.size, n)

    def state_dict(self) -> dict[str, Any]:
        """The filled part of the pool."""
        return {"next": self.next, "rows": {str(n): each[: self.size] for n, each in enumerate(self.tensors)}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`, for a pool of the same capacity."""
        self.tensors, self.next, self.size = [], 0, 0
        if state["rows"]:
            self.add_rows([state["rows"][str(n)] for n in range(len(state["rows"]))])
        self.next = int(state["next"]) % self.capacity


class ReplayPool(RowPool):
    """The last `capacity` transitions; needs capacity · (2 O + A + 1) · 4 bytes."""

    @property
    def rows(self) -> Transitions | None:
        """All places of the pool, of which the first `len(self)` are filled."""
        return Transitions(*self.tensors) if self.tensors else None

    def add(self, batch: Transitions) -> None:
        """Adds `batch`, over the oldest transitions if the pool is full."""
        self.add_rows(batch.tensors())

    def draw(self, n: int) -> Transitions:
        """`n` transitions, with replacement, from the pools of all processes, none of which may be empty."""
        return Transitions(*self.draw_rows(n))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As `RowPool`; `InputError` where rows do not fit each other."""
        if rows := state["rows"]:
            Transitions(*(rows[str(n)] for n in range(len(rows)))).checked()
        super().load_state_dict(state)
