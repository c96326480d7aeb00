"""Inputs and targets of a model of the dynamics, each number in units of its own spread."""

from typing import Any

import torch
from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.nn.normaliser import Normaliser
from rlgen.rewards.task_shape import TaskShape


class NormalisedTransitions:
    """(s, a) and s' of transitions, normalised by running statistics that stand still between calls of `merge`."""

    def __init__(self, shape: TaskShape):
        self.shape = shape
        self.input_size = shape.observation_size + shape.encoded_size
        self.inputs = Normaliser(self.input_size).to(shape.device)
        self.targets = Normaliser(shape.observation_size).to(shape.device)

    def merge(self, batch: Transitions) -> None:
        """Take `batch` into the statistics."""
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
