"""The protocols of a training and of its observer, the same for policies, clones and image models."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch


class Observer(Protocol):
    """Logs, displays, evaluates, saves and stops a training. `Session` implements it."""

    def log(self, values: Mapping[str, float]) -> None:
        """Write a row of metrics at the current step."""
        ...

    def show(self, values: Mapping[str, float]) -> None:
        """Refresh the progress display with the current step and the newest values, by their labels."""
        ...

    def show_warm_up(self, done: int, most: int) -> None:
        """Show the progress of learning before the first step (e.g. a warm start): updates done, and at most."""
        ...

    def message(self, text: str) -> None:
        """Print a line above the progress display."""
        ...

    def between(self) -> None:
        """Evaluate and save where due. Called between rounds, when the state is consistent. Raises `Stopped` if the
        user interrupted."""
        ...

    def seconds(self) -> float:
        """Training time so far [s], over all resumes, without evaluations."""
        ...


class Trainable(Protocol):
    """A training that a `Session` can run. A new kind of agent needs one, and settings that build it."""

    @property
    def unit(self) -> str:
        """The unit of `step`: environment `steps`, or `updates`."""
        ...

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        ...

    @property
    def step(self) -> int:
        """Steps or updates done so far."""
        ...

    def advance(self, until: int, observer: Observer) -> None:
        """Train until `step` reaches `until`, calling `observer.between()` whenever the state is consistent. Afterwards
        the model is the final one (e.g. with averaged weights), even if there was nothing left to do."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """A point of the learning curve, by metric name; empty for none."""
        ...

    def pictures(self) -> Mapping[str, np.ndarray]:
        """Pictures of the current model, by name: uint8 images [H, W] or [H, W, 3]."""
        ...

    def describe(self, evaluation: Mapping[str, float]) -> str:
        """A line for the terminal about what `evaluate` found; empty for none."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """Contents of the files that accompany a checkpoint in the run folder, by file name."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The complete state, except for the random generators; empty for a training that is not saved but starts
        again. Raises `NotFinite` if the state is not finite."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...
