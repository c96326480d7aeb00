"""The training of an image model on the images of a data set."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from rlgen.data.images import ImageSet
from rlgen.data.minibatches import Minibatches, PartlyLabeled
from rlgen.generators.image_model import ImageModel
from rlgen.generators.metrics.inception import Extractor
from rlgen.generators.metrics.variety import progressed
from rlgen.generators.pictures import grids
from rlgen.generators.trainer import Trainer
from rlgen.reports.pictures import image_grid, write_png
from rlgen.runs.folder import RunFolder
from rlgen.runs.image_files import prints_of, save_image_model
from rlgen.runs.metrics import Metrics

from ..factor_metrics import factor_r2
from ..image_metrics import (
    classification_error,
    collapse_of,
    count_accuracy,
    extractor_of,
    likelihood_bounds,
    log_densities,
    measure,
    require_finite_model,
    robust_errors,
    sample_variety,
)
from .generative_training import GenerativeTraining

log = logging.getLogger("rlgen")
PICTURE_SEED, PICTURED, EVALUATED = 20_000, 40, 100
CURVE_IMAGES = 1_000


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
class ImageTraining(GenerativeTraining):
    """A `Trainable`: `game` learns from `batches`."""

    game: Trainer[ImageModel]
    batches: Minibatches | PartlyLabeled
    train: ImageSet
    """Training images, not binarized."""
    test: ImageSet
    """Test images, not binarized."""
    held_out: ImageSet
    """Test images in the form of the training: binarized once if the model is trained on zeros and ones."""
    measurement: Measurement
    variety: Mapping[str, float] = field(default_factory=dict, init=False)
    """Variety of samples at the last evaluation of this session."""
    warned: bool = field(default=False, init=False)
    """Whether a collapse of the samples has been logged since they were last varied."""
    agent = "image"
    counted = "images"
    finite = frozenset({"nll", "elbo", "log_density", "parzen", "fid"})

    def evaluate(self) -> Mapping[str, float]:
        """Bounds on the likelihood of test images, or their exact densities, if the model has them, its classification
        errors, also under attack, the share of images whose objects it counts right, how well its latents predict
        factors, and the variety of samples of a model without likelihood."""
        self.require_finite_model()
        with self.game.evaluating() as model:
            found = likelihood_bounds(model, self.held_out, CURVE_IMAGES)
            found |= log_densities(model, self.held_out, CURVE_IMAGES)
            found |= robust_errors(model, self.held_out.some(CURVE_IMAGES))
            found |= count_accuracy(model, self.held_out) | factor_r2(model, self.train, self.test, CURVE_IMAGES)
            found |= classification_error(model, self.held_out)
            return found | self._variety(model)

    def _variety(self, model: ImageModel) -> dict[str, float]:
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
            return self._pictures(model)

    def _pictures(self, model: ImageModel) -> dict[str, np.ndarray]:
        shown = grids(model, self.held_out.some(PICTURED).floats(), PICTURE_SEED)
        return {name: image_grid(grid.images.float().cpu().numpy(), grid.columns) for name, grid in shown.items()}

    def require_finite_model(self) -> None:
        """Raise `Diverged` if the model's parameters are not finite."""
        require_finite_model(self.game, self.held_out.some(EVALUATED).floats())

    def prints(self) -> Mapping[str, Mapping[str, Any]]:
        return prints_of(self.train, self.test)

    def measure(self, model: ImageModel) -> dict[str, Any]:
        found = self.measurement.of(model, self.train, self.test, self.held_out)
        if "warning" in found:
            log.warning("the samples have collapsed: %s", found["warning"])
        names = {"classes": ", ".join(self.train.class_names)} if self.train.class_names else {}
        return {"data": self.train.name, **names, **found}

    def save(self, folder: RunFolder, model: ImageModel) -> None:
        save_image_model(folder, model)

    def illustrate(self, folder: RunFolder, metrics: Metrics, model: ImageModel) -> None:
        for name, picture in self._pictures(model).items():
            metrics.write_image(self.step, name, picture)
            write_png(folder / f"{name}.png", picture)
