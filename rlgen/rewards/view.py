"""Reward sources that see a view of transitions: features of images, or chosen numbers of the observation."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.rewards.source import RewardSource


@runtime_checkable
class TransitionView(Protocol):
    """A view of transitions, an `nn.Module` whose state is saved."""

    def of(self, batch: Transitions[Any]) -> Transitions:
        """The same transitions with what is seen for observations, [B, O] each."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


class ObservedNumbers(nn.Module):
    """Sees these numbers of a flat observation of `size` numbers, counted from 0.

    Raises `InputError`, with the `name` of the setting, for numbers that the observation does not have, and for
    repeated ones.
    """

    numbers: Tensor

    def __init__(self, numbers: Sequence[int], size: int, name: str = "observed"):
        super().__init__()
        if len(set(numbers)) < len(numbers) or not all(0 <= number < size for number in numbers):
            expected = f"different numbers of an observation of {size}, counted from 0, as {name}"
            raise problem(expected, ranges(numbers), f"use numbers from 0 to {size - 1}, or leave {name} out")
        self.register_buffer("numbers", torch.as_tensor(numbers, dtype=torch.int64))

    def of(self, batch: Transitions) -> Transitions:
        before, after = self._seen(batch.observations), self._seen(batch.next_observations)
        return Transitions(before, batch.actions, after, batch.terminated, batch.truncated)

    def _seen(self, observations: Tensor) -> Tensor:
        return observations.flatten(1).index_select(1, self.numbers)


class OfView:
    """`source` with a `view` of transitions instead of the transitions themselves."""

    def __init__(self, source: RewardSource, view: TransitionView):
        self.source, self.view = source, view
        self._known: tuple[Transitions, Transitions] | None = None

    def update(self, batch: Transitions[Any]) -> dict[str, Tensor]:
        seen = self.view.of(batch)
        self._known = (batch, seen)  # the source knows its batch again when it rewards it
        return self.source.update(seen)

    def reward(self, batch: Transitions[Any]) -> Tensor:
        known = self._known is not None and self._known[0] is batch
        return self.source.reward(self._known[1] if known else self.view.of(batch))  # type: ignore[index]

    def state_dict(self) -> dict[str, Any]:
        return {"source": self.source.state_dict(), "features": self.view.state_dict()}  # the name in checkpoints

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.source.load_state_dict(state["source"])
        self.view.load_state_dict(state["features"])
        self._known = None


def ranges(numbers: Sequence[int]) -> str:
    """Numbers as a text: "0-6 15-20".

    >>> ranges([0, 1, 2, 5, 7, 8])
    '0-2 5 7-8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
