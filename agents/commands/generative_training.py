"""The training of a generative model on batches of data: what images and texts share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from rlgen.generators.generative_model import Terms
from rlgen.generators.trainer import Diverged, Trainer
from rlgen.reports.report import write_report
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.runs.model_files import note_data, require_noted_data
from rlgen.system.console import number

from ..trainable import Observer
from .finish import print_result, result_of

SHOWN = 3
"""Number of logged values in the progress display, those of the first player first."""


class Means:
    """Means of logged values over the updates since the last read."""

    def __init__(self) -> None:
        self.totals: dict[str, Tensor] = {}
        self.count = 0

    def add(self, logs: Mapping[str, Tensor]) -> None:
        for name, value in logs.items():
            self.totals[name] = self.totals[name] + value if name in self.totals else value
        self.count += 1

    def take(self) -> dict[str, float]:
        """The means, copied from the device at once; then reset them."""
        if not self.count:
            return {}
        values = (torch.stack([value.double() for value in self.totals.values()]) / self.count).tolist()
        names, self.totals, self.count = list(self.totals), {}, 0
        return dict(zip(names, values, strict=True))

    def state_dict(self) -> dict[str, Any]:
        return {"totals": dict(self.totals), "count": self.count}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.totals = {name: value.to(device) for name, value in state["totals"].items()}
        self.count = state["count"]


class Batches(Protocol):
    """Endless minibatches, whose place is part of a checkpoint."""

    @property
    def size(self) -> int:
        """Number of images, tokens or other data of a minibatch."""
        ...

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]: ...

    def __next__(self) -> tuple[Tensor, ...]: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(kw_only=True)
class GenerativeTraining(ABC):
    """A `Trainable` whose `game` learns from `batches`. A kind of data adds what is measured and shown."""

    game: Trainer[Any]
    batches: Batches
    log_every: int
    """Updates between rows of metrics."""
    unit: ClassVar[str] = "updates"
    agent: ClassVar[str]
    """Name of the kind, under which a checkpoint has the state of the training."""
    counted: ClassVar[str]
    """What batches consist of, in the plural, such as images."""
    finite: ClassVar[frozenset[str]]
    """Final metrics that are finite wherever a model has them."""
    means: Means = field(default_factory=Means, init=False)

    @property
    def device(self) -> torch.device:
        return self.game.device

    @property
    def step(self) -> int:
        return self.game.step

    def advance(self, until: int, observer: Observer) -> None:
        while self.step < until:
            self.means.add(self.update())
            last = self.step >= until
            if self.ends_row() or last:
                self._report(observer)
            if not last:
                observer.between()

    def update(self) -> Terms:
        """Take one update, and return its logs."""
        return self.game.update(*next(self.batches))

    def ends_row(self) -> bool:
        """Whether a row of metrics ends with the last update."""
        return self.step % self.log_every == 0

    def _report(self, observer: Observer) -> None:
        """Log the means since the last row."""
        self.game.require_finite()
        values = self.means.take()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = observer.seconds()
        speed = self.step * self.batches.size / seconds if seconds else 0.0
        observer.log({**values, f"time/{self.counted}_per_second": speed})
        observer.show({**dict(list(values.items())[:SHOWN]), f"{self.counted}/s": speed})

    @abstractmethod
    def evaluate(self) -> Mapping[str, float]:
        """A point of the learning curve, by metric name; empty for none."""

    def pictures(self) -> Mapping[str, np.ndarray]:
        """Pictures of the current model, by name: none, for data that are not shown so."""
        return {}

    def describe(self, evaluation: Mapping[str, float]) -> str:
        shown = {name: value for name, value in evaluation.items() if not name.endswith("_standard_error")}
        return ", ".join(f"{name} {number(value)}" for name, value in shown.items())

    @abstractmethod
    def require_finite_model(self) -> None:
        """Raise `Diverged` if the model's parameters or outputs are not finite."""

    def files(self) -> Mapping[str, bytes]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        self.require_finite_model()
        return {
            self.agent: self.game.state_dict(),
            "batches": self.batches.state_dict(),
            "means": self.means.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.game.load_state_dict(state[self.agent])
        self.batches.load_state_dict(state["batches"])
        self.means.load_state_dict(state["means"], self.device)

    @abstractmethod
    def prints(self) -> Mapping[str, Mapping[str, Any]]:
        """Name, number and sha256 of the data, by split."""

    def keep(self, folder: RunFolder) -> None:
        """Record the data that the run is trained on."""
        note_data(folder, self.prints())

    def require_kept(self, folder: RunFolder) -> None:
        """Raise `InputError` unless these are the data that the run started with."""
        require_noted_data(folder, self.prints(), self.counted)

    def final_model(self) -> AbstractContextManager[Any]:
        """Context with the model that is measured and saved at the end, in evaluation mode."""
        return self.game.evaluating()

    @abstractmethod
    def measure(self, model: Any) -> dict[str, Any]:
        """The final metrics by name, with the name of the data."""

    @abstractmethod
    def save(self, folder: RunFolder, model: Any) -> None:
        """Write the model into the folder of a finished run."""

    @abstractmethod
    def illustrate(self, folder: RunFolder, metrics: Metrics, model: Any) -> None:
        """Write the pictures or samples of a finished run."""

    def finish(self, folder: RunFolder, metrics: Metrics, seconds: float) -> None:
        """Write all files of a finished run: weights, metrics, pictures or samples, and report."""
        self.require_finite_model()
        with self.final_model() as model:
            found = self.measure(model)
            for name in self.finite & found.keys():
                if not math.isfinite(found[name]):
                    raise Diverged(self.step, name)
            self.save(folder, model)
            self.illustrate(folder, metrics, model)
        sizes = {
            self.counted: self.step * self.batches.size,
            "parameters": sum(parameter.numel() for parameter in self.game.model.parameters()),
        }
        result = result_of(folder, self, seconds, {"model": folder.config["model"], **sizes, **found})
        result.write(folder)
        write_report(folder)
        print_result(result, folder)
