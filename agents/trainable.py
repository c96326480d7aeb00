"""What a run trains, whatever it is: a policy by imitation or exploration, a clone, an image model."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch


class Observer(Protocol):
    """Watches a training: logs, shows, evaluates, saves and stops it. `Session` is one."""

    def log(self, values: Mapping[str, float]) -> None:
        """Write a row of metrics at the present step."""
        ...

    def show(self, values: Mapping[str, float]) -> None:
        """Refresh the progress display with the present step and the newest values, by their labels."""
        ...

    def show_warm_up(self, done: int, most: int) -> None:
        """Show the updates done, and at most to do, of what is learned before the first step."""
        ...

    def message(self, text: str) -> None:
        """Print a line above the progress display."""
        ...

    def between(self) -> None:
        """All state is at rest: evaluate and save where that is due. Raises `Stopped` where the user asked to stop."""
        ...

    def seconds(self) -> float:
        """Training time so far over all resumes, evaluations not counted."""
        ...


class Trainable(Protocol):
    """One training. Adding an agent is adding one of these, and settings that build it."""

    @property
    def unit(self) -> str:
        """What is counted: `steps` in the environment, or `updates`."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        ...

    @property
    def step(self) -> int:
        """How many are done."""
        ...

    def advance(self, until: int, observer: Observer) -> None:
        """Train until `step` reaches `until`, calling `observer.between()` where all state is at rest. The model ends
        as it is handed over, also where nothing is left to do."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """A point of the learning curve, by name; empty where there is nothing to say."""
        ...

    def pictures(self) -> Mapping[str, np.ndarray]:
        """What the model shows of itself now, by name: images [H, W] or [H, W, 3]."""
        ...

    def describe(self, evaluation: Mapping[str, float]) -> str:
        """An evaluation as one line for the terminal; empty for none."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """What belongs in the run folder beside a checkpoint, by name."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything to go on from, apart from the random numbers; empty for a training that starts anew. Raises
        `NotFinite` where nothing good is left to save."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...
