"""An endless order of things, each once in an epoch, whose place can be saved."""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from rlgen.errors import problem


class Shuffled:
    """Endless draws of `size` of the numbers of `count` things, named `what` in messages.

    Each epoch has a new random order, drawn by a CPU generator with a seed. Draws are always full: the last one of an
    epoch takes what is missing from the next."""

    def __init__(self, count: int, size: int, seed: int = 0, what: str = "rows"):
        if size < 1 or count < 1:
            raise problem(f"at least one of some {what} at a time", f"{size} of {count}", "correct these")
        self.count, self.size, self.what = count, size, what
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.empty(0, dtype=torch.int64)
        """Numbers that come next."""

    def draw(self) -> Int[Tensor, " B"]:
        """The next numbers."""
        while len(self.order) < self.size:
            self.order = torch.cat([self.order, torch.randperm(self.count, generator=self.generator)])
        chosen, self.order = self.order[: self.size], self.order[self.size :]
        return chosen

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state(), "order": self.order.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues an order of as many things."""
        order = state["order"].cpu().clone()
        if len(order) and not 0 <= int(order.min()) <= int(order.max()) < self.count:
            got = f"one of {int(order.max()) + 1:,} or more"
            raise problem(f"an order of {self.count:,} {self.what}", got, f"load the same {self.what}")
        self.generator.set_state(state["generator"].cpu())
        self.order = order
