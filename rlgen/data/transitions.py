"""A batch of transitions as tensors, which every reward source reads."""

from dataclasses import dataclass, fields
from typing import Any, Generic

import torch
from torch import Tensor
from typing_extensions import TypeVar

from rlgen.data import observations as tree
from rlgen.data.observations import SharedRows
from rlgen.errors import problem

Observed = TypeVar("Observed", bound=Tensor | dict[str, Tensor], default=Tensor)
"""Tensor: vectors or images. A dictionary: the entries of a Dict space by name."""


@dataclass(frozen=True)
class Transitions(Generic[Observed]):
    """B transitions on one device. `terminated` and `truncated` are separate: only termination ends the return.

    Shapes: observations [B, O], actions [B, A] in environment scale (as the environment received them),
    next_observations [B, O] (at the end of an episode its true last observation, not the next episode's first),
    terminated [B] bool, truncated [B] bool (time limit).

    Observations may also be images, uint8 [B, ...], or a dictionary of tensors. The next observations of demonstrated
    ones are `SharedRows`, which become tensors where they are indexed.
    """

    observations: Observed
    actions: Tensor
    next_observations: Observed
    terminated: Tensor
    truncated: Tensor

    def __len__(self) -> int:
        return len(self.terminated)

    def __getitem__(self, index: Tensor | slice) -> "Transitions[Observed]":
        return Transitions(*(tree.take(each, index) for each in self.tensors()))

    def to(self, device: torch.device | str) -> "Transitions[Observed]":
        observations, next_observations = moved(self.observations, self.next_observations, device)
        rest = (each.to(device) for each in (self.terminated, self.truncated))
        return Transitions(observations, self.actions.to(device), next_observations, *rest)

    def checked(self) -> "Transitions[Observed]":
        """Returns itself. Raises `InputError` if its tensors, loaded from a file, do not fit each other."""
        rows, flags = len(self), (self.terminated, self.truncated)
        before, after = (tree.entries(each) for each in (self.observations, self.next_observations))
        fit = (
            self.actions.ndim == 2
            and all(each.ndim >= 2 and len(each) == rows for each in before.values())
            and {name: each.shape for name, each in before.items()} == {n: each.shape for n, each in after.items()}
            and len(self.actions) == rows
            and all(flag.shape == (rows,) and flag.dtype == torch.bool for flag in flags)
        )
        if not fit:
            parts = [each for tensors in self.tensors() for each in tree.entries(tensors).values()]
            got = ", ".join(f"{list(each.shape)} of {each.dtype}" for each in parts)
            expected = "observations [B, O], actions [B, A], next observations [B, O] and two flags [B] of torch.bool"
            raise problem(expected, got, "load the state of the same training")
        return self

    def tensors(self) -> tuple[Any, ...]:
        """Its tensors, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in fields(self))


def moved(observations: Any, next_observations: Any, device: torch.device | str) -> tuple[Any, Any]:
    """Both on `device`; rows that they share stay shared."""
    if not any(isinstance(each, SharedRows) for each in tree.entries(next_observations).values()):
        return tuple(tree.each_entry(lambda each: each.to(device), both) for both in (observations, next_observations))
    index = next(iter(tree.entries(next_observations).values())).index.to(device)
    return tree.of_store(tree.each_entry(lambda rows: rows.store.to(device), next_observations), index)
