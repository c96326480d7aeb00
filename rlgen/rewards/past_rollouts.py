"""Rows of earlier rollouts, which keep a discriminator from forgetting policies that are no more."""

from typing import Any

import torch
from torch import Tensor

from rlgen import distributed


class PastRollouts:
    """`rows` random rows of each of the last `rollouts` rollouts, the same in all training processes."""

    def __init__(self, rollouts: int, rows: int):
        self.rollouts, self.rows, self.count = rollouts, rows, 0
        self.kept: Tensor | None = None
        """[rollouts, rows, D], on the device of the rows."""

    def add(self, rollout: Tensor) -> None:
        """Keeps some rows of `rollout` [B, D], instead of those of the oldest one."""
        if self.kept is None:
            self.kept = rollout.new_zeros(self.rollouts, self.rows, rollout.shape[1])
        self.kept[self.count % self.rollouts] = distributed.draw([rollout], len(rollout), self.rows)[0]
        self.count += 1

    def draw(self, n: int) -> Tensor:
        """`n` rows [n, D], with replacement, each rollout as likely as any other. There must be one already."""
        assert self.kept is not None, "no rollout yet"
        there = min(self.count, self.rollouts) * self.rows
        return self.kept.flatten(0, 1)[torch.randint(there, (n,), device=self.kept.device)]

    def state_dict(self) -> dict[str, Any]:
        kept = {} if self.kept is None else {"kept": self.kept[: self.count]}
        return {"count": self.count, **kept}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """The inverse of `state_dict`, for the same numbers of rollouts and rows."""
        self.count, self.kept = int(state["count"]), None
        if "kept" in state:
            kept = state["kept"].to(device)
            self.kept = kept.new_zeros(self.rollouts, self.rows, kept.shape[2])
            self.kept[: len(kept)] = kept
