"""A batch of transitions as tensors, which every reward source reads."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from rlgen.errors import problem


@dataclass(frozen=True)
class Transitions:
    """B transitions on one device. `terminated` and `truncated` are separate: only termination ends the return.

    Shapes: observations [B, O], actions [B, A] in environment scale (as the environment received them),
    next_observations [B, O] (at the end of an episode its true last observation, not the next episode's first),
    terminated [B] bool, truncated [B] bool (time limit).
    """

    observations: Tensor
    actions: Tensor
    next_observations: Tensor
    terminated: Tensor
    truncated: Tensor

    def __len__(self) -> int:
        return len(self.observations)

    def __getitem__(self, index: Tensor | slice) -> "Transitions":
        return Transitions(*(tensor[index] for tensor in self.tensors()))

    def to(self, device: torch.device | str) -> "Transitions":
        return Transitions(*(tensor.to(device) for tensor in self.tensors()))

    def checked(self) -> "Transitions":
        """Returns itself. Raises `InputError` if its tensors, loaded from a file, do not fit each other."""
        rows, flags = len(self.observations), (self.terminated, self.truncated)
        fit = (
            self.observations.ndim == self.actions.ndim == 2
            and self.observations.shape == self.next_observations.shape
            and len(self.actions) == rows
            and all(flag.shape == (rows,) and flag.dtype == torch.bool for flag in flags)
        )
        if not fit:
            got = ", ".join(f"{list(each.shape)} of {each.dtype}" for each in self.tensors())
            expected = "observations [B, O], actions [B, A], next observations [B, O] and two flags [B] of torch.bool"
            raise problem(expected, got, "load the state of the same training")
        return self

    def tensors(self) -> tuple[Tensor, ...]:
        """Its tensors, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in fields(self))
