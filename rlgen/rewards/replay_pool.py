"""A pool of past transitions, and the normalized inputs and targets of networks."""

from typing import Any

import torch
from torch import Tensor

from rlgen import distributed
from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.nn.normalizer import Normalizer
from rlgen.rewards.source import TaskShape


class NormalisedTransitions:
    """Normalizes (s, a) and s' of transitions by running statistics, which only `merge` changes."""

    def __init__(self, shape: TaskShape):
        self.shape = shape
        self.input_size = shape.observation_size + shape.encoded_size
        self.inputs = Normalizer(self.input_size).to(shape.device)
        self.targets = Normalizer(shape.observation_size).to(shape.device)

    def merge(self, batch: Transitions) -> None:
        """Updates the statistics with `batch`."""
        self.inputs.merge_rollout(self._raw_inputs(batch))
        self.targets.merge_rollout(batch.next_observations)

    def __call__(self, batch: Transitions) -> tuple[Tensor, Tensor]:
        """Inputs [B, I] and targets [B, O]."""
        return self.inputs(self._raw_inputs(batch)), self.targets(batch.next_observations)

    def _raw_inputs(self, batch: Transitions) -> Tensor:
        return torch.cat([batch.observations, self.shape.encode(batch.actions)], -1)

    def state_dict(self) -> dict[str, Any]:
        return {"inputs": self.inputs.state_dict(), "targets": self.targets.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inputs.load_state_dict(state["inputs"])
        self.targets.load_state_dict(state["targets"])


class ReplayPool:
    """The last `capacity` transitions, on the device of new ones; needs capacity · (2 O + A + 1) · 4 bytes."""

    def __init__(self, capacity: int):
        if capacity < 1:
            raise problem("a pool of 1 transition or more", str(capacity), "use e.g. 100000")
        self.capacity, self.next, self.size = capacity, 0, 0
        self.rows: Transitions | None = None

    def __len__(self) -> int:
        return self.size

    def add(self, batch: Transitions) -> None:
        """Adds `batch`, over the oldest transitions if the pool is full."""
        batch = batch[-self.capacity :]
        if self.rows is not None and self.rows.observations.device != batch.observations.device:
            self.rows = self.rows.to(batch.observations.device)  # a checkpoint is loaded on the CPU
        if self.rows is None:
            self.rows = Transitions(*(value.new_zeros((self.capacity, *value.shape[1:])) for value in batch.tensors()))
        where = (torch.arange(len(batch), device=batch.observations.device) + self.next) % self.capacity
        for kept, value in zip(self.rows.tensors(), batch.tensors(), strict=True):
            kept[where] = value
        self.next = (self.next + len(batch)) % self.capacity
        self.size = min(self.size + len(batch), self.capacity)

    def draw(self, n: int) -> Transitions:
        """`n` transitions, with replacement, from the pools of all processes, none of which may be empty."""
        assert self.rows is not None, "the pool is empty"
        return Transitions(*distributed.draw(self.rows.tensors(), self.size, n))

    def state_dict(self) -> dict[str, Any]:
        """The filled part of the pool."""
        rows = {} if self.rows is None else dict(enumerate(value[: self.size] for value in self.rows.tensors()))
        return {"next": self.next, "rows": {str(number): value for number, value in rows.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`, for a pool of the same capacity; `InputError` where rows do not fit."""
        self.rows, self.next, self.size = None, 0, 0
        if state["rows"]:
            self.add(Transitions(*(state["rows"][str(number)] for number in range(len(state["rows"])))).checked())
        self.next = int(state["next"]) % self.capacity
