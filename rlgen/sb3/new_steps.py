"""New transitions of an off-policy model, collected until a reward source learns from them."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.sb3.plain_pickle import array_like, own_array, plain


class Step(NamedTuple):
    """One step of N environments."""

    observations: np.ndarray
    """[N, O]."""
    actions: np.ndarray
    """[N, A], as the environments received them."""
    following: np.ndarray
    """[N, O]: next observations; at the end of an episode its true last observation."""
    terminated: np.ndarray
    """[N] bool."""
    truncated: np.ndarray
    """[N] bool, by the time limit."""
    starts: np.ndarray
    """[N] bool: the first step of an episode."""


class NewSteps:
    """Collects steps of N environments until there are `enough`, counted over all environments."""

    def __init__(self, enough: int):
        if enough < 1:
            raise problem("1 step or more between two updates", str(enough), "use e.g. 1000")
        self.enough = enough
        self.steps: list[Step] = []
        self.taken = 0
        """Steps at the front that were returned before: the one before the new steps, 0 the first time."""

    def add(
        self,
        observations: np.ndarray,
        actions: np.ndarray,
        following: np.ndarray,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> None:
        """Adds a step; arrays as in `Step`. An episode starts after the end of another, or if a reset has moved the
        environment away from where the step before left it."""
        starts = np.ones(len(observations), bool)
        if self.steps:
            before = self.steps[-1]
            starts = before.terminated | before.truncated | (before.following != observations).any(1)
        self.steps.append(Step(observations, actions, following, terminated, truncated, starts))

    def take(self, device: torch.device | str) -> tuple[Transitions, Tensor] | None:
        """The new steps as T * N transitions, time-major, and the episode starts [T, N]; None if they are too few."""
        new = self.steps[self.taken :]
        if not new or len(new) * len(new[0].observations) < self.enough:
            return None
        self.steps, self.taken = self.steps[-1:], 1
        *arrays, starts = (torch.as_tensor(np.stack(column), device=device) for column in zip(*new, strict=True))
        return Transitions(*(array.flatten(0, 1) for array in arrays)), starts

    def state_dict(self) -> dict[str, Any]:
        columns = dict(zip(Step._fields, zip(*self.steps, strict=True), strict=True)) if self.steps else {}
        return plain({"taken": self.taken, "steps": {name: np.stack(rows) for name, rows in columns.items()}})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`; raises `InputError` for arrays that do not fit each other."""
        columns = [own_array(state["steps"][name]) for name in Step._fields if state["steps"]]
        if columns:
            *arrays, starts = columns
            Transitions(*(torch.from_numpy(array).flatten(0, 1) for array in arrays)).checked()
            array_like(arrays[-1], starts, "starts of episodes")
        if not 0 <= state["taken"] <= 1:
            raise problem("0 or 1 step that was taken", str(state["taken"]), "load the state of the same training")
        self.steps, self.taken = [Step(*rows) for rows in zip(*columns, strict=True)], int(state["taken"])
