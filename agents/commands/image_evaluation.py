"""`rlgen evaluate` of an image model: the metrics of its run's end again, or with other settings."""

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rlgen.errors import problem

from .evaluation import Evaluation

if TYPE_CHECKING:
    from rlgen.runs.folder import RunFolder

log = logging.getLogger("rlgen")
OF_TRAINING = ("model", "data", "images", "parameters")
"""Metrics that are taken from the run."""


@dataclass(frozen=True, kw_only=True)
class ImageEvaluation(Evaluation):
    """The evaluation of an image model on test images."""

    subject_name = "an image model"

    measured: int | None = None
    """Number of samples, and at most as many test images (image model); by default, as for the options below, the value
    of the run, whose numbers are then reproduced."""
    importance_samples: int | None = None
    """Importance samples per test image (image model)."""
    classifier: str | None = None
    """Classifier whose features are compared (image model): auto, inception, none, or the .json of a saved one."""
    device: str | None = None
    """Device of the evaluation (image model)."""

    def evaluate(self) -> dict[str, Any]:
        from rlgen.runs.folder import RunFolder
        from rlgen.runs.image_files import WEIGHTS
        from rlgen.runs.result import Result

        from .finish import print_result
        from .resume import shown

        folder = RunFolder.open(self.policy)
        if not (folder / WEIGHTS).is_file() or not (folder / "result.json").is_file():
            got = "a run that has not finished"
            raise problem(f"{WEIGHTS} and result.json in {folder.path}", got, f"finish it: rlgen resume {folder.path}")
        before = Result.read(folder)
        known = {name: before.metrics[name] for name in OF_TRAINING if name in before.metrics}
        result = replace(before, metrics={**known, **self.measure(folder)})
        print_result(result, shown(folder))
        return {"run": str(folder.path), **result.metrics}

    def measure(self, folder: "RunFolder") -> dict[str, Any]:
        """The metrics of the run's model on the data of its configuration."""
        from rlgen.data.images import ImageSet
        from rlgen.runs.image_files import load_image_model, require_noted_images
        from rlgen.system.device import choose_device, set_torch_threads

        from .image_checks import as_seen, binarization_of, require_classifier_file, require_measurable
        from .resume import recorded_settings

        asked = {name: getattr(self, name) for name in ("measured", "importance_samples", "classifier", "device")}
        config = recorded_settings(folder, {name: value for name, value in asked.items() if value is not None})
        set_torch_threads(config.threads)
        require_classifier_file(config.classifier)
        device, sentence = choose_device(config.device)
        log.info(sentence)
        train, test = (ImageSet.load(config.data, split).to(device) for split in ("train", "test"))
        require_noted_images(folder, train, test)
        require_measurable(train, test, config.classifier, config.measured)
        model = load_image_model(folder, device)
        held_out = as_seen(test, binarization_of(model, config.binarize))
        return config.measurement.of(model, train, test, held_out)
