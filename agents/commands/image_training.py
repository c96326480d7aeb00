"""The training of an image model on the images of a data set."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from rlgen.data.images import ImageSet
from rlgen.data.minibatches import Minibatches, PartlyLabeled
from rlgen.generators.image_model import ImageModel
from rlgen.generators.metrics.inception import Extractor
from rlgen.generators.metrics.variety import progressed
from rlgen.generators.pictures import grids
from rlgen.generators.trainer import Diverged, Trainer
from rlgen.reports.pictures import image_grid, write_png
from rlgen.reports.report import write_report
from rlgen.runs.folder import RunFolder
from rlgen.runs.image_files import note_images, require_noted_images, save_image_model
from rlgen.runs.metrics import Metrics
from rlgen.system.console import number

from ..image_metrics import (
    classification_error,
    collapse_of,
    extractor_of,
    likelihood_bounds,
    log_densities,
    measure,
    require_finite_model,
    robust_errors,
    sample_variety,
)
from ..trainable import Observer
from .finish import print_result, result_of

log = logging.getLogger("rlgen")
PICTURE_SEED, PICTURED, EVALUATED = 20_000, 40, 100
CURVE_IMAGES = 1_000
FINITE = {"nll", "elbo", "log_density", "parzen", "fid"}
"""Metrics that are finite wherever a model has them."""
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


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Settings of the final metrics."""

    classifier: str
    """Classifier whose features are compared: auto, inception, none, or the .json of a saved one."""
    samples: int
    """Number of samples of the model, and at most as many test images."""
    importance_samples: int
    """Importance samples per test image."""

    def quick_extractor(self, train: ImageSet, test: ImageSet) -> Extractor | None:
        """The extractor of evaluations during the training; none for inception, which takes minutes on a CPU."""
        return None if self.classifier == "inception" else extractor_of(self.classifier, train, test)

    def of(self, model: ImageModel, train: ImageSet, test: ImageSet, held_out: ImageSet) -> dict[str, Any]:
        """All metrics by name."""
        return measure(model, train, test, held_out, self.classifier, self.samples, self.importance_samples)


@dataclass(kw_only=True)
class ImageTraining:
    """A `Trainable`: `game` learns from `batches`."""

    game: Trainer
    batches: Minibatches | PartlyLabeled
    train: ImageSet
    """Training images, not binarized."""
    test: ImageSet
    """Test images, not binarized."""
    held_out: ImageSet
    """Test images in the form of the training: binarized once if the model is trained on zeros and ones."""
    log_every: int
    """Updates between rows of metrics."""
    measurement: Measurement
    unit: ClassVar[str] = "updates"
    means: Means = field(default_factory=Means, init=False)
    variety: Mapping[str, float] = field(default_factory=dict, init=False)
    """Variety of samples at the last evaluation of this session."""
    warned: bool = field(default=False, init=False)
    """Whether a collapse of the samples has been logged since they were last varied."""

    @property
    def device(self) -> torch.device:
        return self.game.device

    @property
    def step(self) -> int:
        return self.game.step

    def advance(self, until: int, observer: Observer) -> None:
        while self.step < until:
            self.means.add(self.game.update(*next(self.batches)))
            last = self.step >= until
            if self.step % self.log_every == 0 or last:
                self._report(observer)
            if not last:
                observer.between()

    def _report(self, observer: Observer) -> None:
        """Log the means since the last row."""
        self.game.require_finite()
        values = self.means.take()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = observer.seconds()
        speed = self.step * self.batches.size / seconds if seconds else 0.0
        observer.log({**values, "time/images_per_second": speed})
        observer.show({**dict(list(values.items())[:SHOWN]), "images/s": speed})

    def evaluate(self) -> Mapping[str, float]:
        """Bounds on the likelihood of test images, or their exact densities, if the model has them, its classification
        errors, also under attack, and the variety of samples of a model without likelihood."""
        self.require_finite_model()
        with self.game.evaluating() as model:
            found = likelihood_bounds(model, self.held_out, CURVE_IMAGES)
            found |= log_densities(model, self.held_out, CURVE_IMAGES)
            found |= robust_errors(model, self.held_out.take(slice(CURVE_IMAGES)))
            found |= classification_error(model, self.held_out)
            return found | self._variety(model)

    def _variety(self, model: ImageModel) -> Mapping[str, float]:
        """The variety of samples, with a warning in the log if they have collapsed and are not getting more varied."""
        found = sample_variety(model, self.test, self.held_out, CURVE_IMAGES, self.extractor)
        warning = collapse_of(model, found, min(CURVE_IMAGES, len(self.test))) if found else None
        before, self.variety = self.variety, found
        if warning is None:
            self.warned = False
        elif before and not self.warned and not progressed(before, found):
            self.warned = True
            log.warning("the samples have collapsed at update %s: %s", f"{self.step:,}", warning)
        return found

    @cached_property
    def extractor(self) -> Extractor | None:
        """The classifier that compares samples with test images, trained or loaded when first needed."""
        return self.measurement.quick_extractor(self.train, self.test)

    def pictures(self) -> Mapping[str, np.ndarray]:
        """Pictures from fixed latents and test images."""
        with self.game.evaluating() as model:
            shown = grids(model, self.held_out.floats(slice(PICTURED)), PICTURE_SEED)
        return {name: image_grid(grid.images.float().cpu().numpy(), grid.columns) for name, grid in shown.items()}

    def describe(self, evaluation: Mapping[str, float]) -> str:
        shown = {name: value for name, value in evaluation.items() if not name.endswith("_standard_error")}
        return ", ".join(f"{name} {number(value)}" for name, value in shown.items())

    def require_finite_model(self) -> None:
        """Raise `Diverged` if the model's parameters are not finite."""
        require_finite_model(self.game, self.held_out.floats(slice(EVALUATED)))

    def files(self) -> Mapping[str, bytes]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        self.require_finite_model()
        return {
            "image": self.game.state_dict(),
            "batches": self.batches.state_dict(),
            "means": self.means.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.game.load_state_dict(state["image"])
        self.batches.load_state_dict(state["batches"])
        self.means.load_state_dict(state["means"], self.device)

    def keep(self, folder: RunFolder) -> None:
        """Record the images that the run is trained on."""
        note_images(folder, self.train, self.test)

    def require_kept(self, folder: RunFolder) -> None:
        """Raise `InputError` unless these are the images that the run started with."""
        require_noted_images(folder, self.train, self.test)

    def finish(self, folder: RunFolder, metrics: Metrics, seconds: float) -> None:
        """Write all files of a finished run: weights, metrics, pictures and report."""
        self.require_finite_model()
        with self.game.evaluating() as model:
            found = self.measurement.of(model, self.train, self.test, self.held_out)
            for name in FINITE & found.keys():
                if not math.isfinite(found[name]):
                    raise Diverged(self.step, name)
            save_image_model(folder, model)
        for name, picture in self.pictures().items():
            metrics.write_image(self.step, name, picture)
            write_png(folder / f"{name}.png", picture)
        images = self.step * self.batches.size
        sizes = {
            "images": images,
            "parameters": sum(parameter.numel() for parameter in self.game.model.parameters()),
        }
        named = {"model": folder.config["model"], "data": self.train.name}
        result = result_of(folder, self, seconds, {**named, **sizes, **found})
        result.write(folder)
        if "warning" in found:
            log.warning("the samples have collapsed: %s", found["warning"])
        write_report(folder)
        print_result(result, folder)

    def close(self) -> None:
        """Do nothing: nothing is open."""
