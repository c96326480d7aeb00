"""`rlgen evaluate` of a run with an image model: the metrics of its end once more, or with other settings."""

import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rlgen.data.images import ImageSet
from rlgen.errors import problem
from rlgen.runs.folder import RunFolder
from rlgen.runs.image_data import require_noted_images
from rlgen.runs.image_model_file import WEIGHTS, load_image_model
from rlgen.runs.image_result import ImageResult
from rlgen.runs.json_file import write_json
from rlgen.system.device import choose_device
from rlgen.system.threads import set_torch_threads

from .image_checks import binarisation_of, require_classifier_file, require_measurable
from .image_training import print_result
from .train_image import TrainImage, as_seen

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """How a finished run is measured; what is None is as the run has it."""

    measured: int | None
    importance_samples: int | None
    classifier: str | None
    device: str | None


def evaluate_image_run(folder: RunFolder, how: Measuring, out: Path | None) -> None:
    """Measure, show the table of the run's end, and write the numbers to `out`."""
    if not (folder / WEIGHTS).is_file() or not (folder / "result.json").is_file():
        came = "a run that has not finished"
        raise problem(f"{WEIGHTS} and result.json in {folder.path}", came, f"finish it: rlgen resume {folder.path}")
    config = settings(folder, how)
    set_torch_threads(config.threads)
    result = replace(ImageResult.read(folder), metrics=found_in(folder, config))
    print_result(result, folder)
    if out is not None:
        write_json(out, {"run": str(folder.path), "model": result.model, "data": result.data, **result.metrics})


def settings(folder: RunFolder, how: Measuring) -> TrainImage:
    """Those of the run, but for what `how` says."""
    recorded = {name: value for name, value in folder.config.items() if name != "agent"}
    return TrainImage.restored(recorded | {name: value for name, value in asdict(how).items() if value is not None})


def found_in(folder: RunFolder, config: TrainImage) -> dict[str, Any]:
    """The metrics of the run's model on the data of its configuration."""
    require_classifier_file(config.classifier)
    device, sentence = choose_device(config.device)
    log.info(sentence)
    train, test = (ImageSet.load(config.data, split).to(device) for split in ("train", "test"))
    require_noted_images(folder, train, test)
    require_measurable(train, test, config.classifier, config.measured)
    model = load_image_model(folder, device)
    held_out = as_seen(test, binarisation_of(model, config.binarise))
    return config.measurement.of(model, train, test, held_out)
