"""Faults of the data, and of settings that do not fit it, which are told before a training and not after it."""

import logging
from pathlib import Path

from torch.nn.modules.batchnorm import _BatchNorm

from rlgen.data.images import ImageSet
from rlgen.errors import problem
from rlgen.generators.classifier import SMALLEST
from rlgen.generators.classifier_files import load_extractor
from rlgen.generators.image_model import ImageModel
from rlgen.generators.metrics.inception import require_inception

log = logging.getLogger("rlgen")
LEAST_COMPARED = 6
"""Images whose features can be compared: density and coverage look at 5 neighbours."""


def require_classifier_file(classifier: str) -> None:
    """Raise `InputError` unless `classifier` is auto, none, inception where that is at hand, or a file."""
    if classifier == "inception":
        require_inception()
    elif classifier not in ("auto", "none") and not Path(classifier).is_file():
        came = f"{classifier!r}, where no file is"
        raise problem("a classifier auto, inception, none, or the .json of a kept one", came, "check the path")


def require_one_kind(train: ImageSet, test: ImageSet) -> None:
    """Raise `InputError` unless test images have the shape and the classes of the training images."""
    if train.shape != test.shape:
        shapes = [" × ".join(str(size) for size in each.shape) for each in (train, test)]
        came = f"training images of {shapes[0]} and test images of {shapes[1]} in {train.name}"
        raise problem("training and test images of one shape", came, "take all files from one data set")
    most = int(test.labels.max())
    if most >= train.n_classes:
        came = f"the test label {most} and training labels up to {train.n_classes - 1} in {train.name}"
        raise problem("test images of the training images' classes", came, "take all files from one data set")


def require_measurable(train: ImageSet, test: ImageSet, classifier: str, measured: int) -> None:
    """Raise `InputError` where the metrics at the end would find too few images, or none that the classifier takes."""
    if len(test) < 2:
        raise problem("at least 2 test images", f"{len(test)} in {test.name}", "add test images to the data")
    if classifier == "none":
        return
    remedy = "add --classifier none, which leaves out FID and the like"
    if min(len(test), measured) < LEAST_COMPARED:
        came = f"{len(test)} test images and --measured {measured}"
        raise problem(f"at least {LEAST_COMPARED} images whose features are compared", came, remedy)
    if classifier == "inception":
        return
    if classifier == "auto":
        if len(train) < 2:
            raise problem("at least 2 training images for a classifier", f"{len(train)} in {train.name}", remedy)
        if min(train.shape[1:]) < SMALLEST:
            came = f"{train.shape[1]} × {train.shape[2]} in {train.name}"
            raise problem(f"images of at least {SMALLEST} × {SMALLEST} for a classifier", came, remedy)
        return
    known = load_extractor(Path(classifier)).network
    if known.shape != train.shape or known.n_classes < train.n_classes:
        kinds = [f"{' × '.join(map(str, each.shape))} of {each.n_classes} classes" for each in (known, train)]
        raise problem(f"images of {kinds[0]}, as {classifier} knows", f"{kinds[1]} in {train.name}", "use another one")


def require_batches(model: ImageModel, batch_size: int, train: ImageSet) -> None:
    """Raise `InputError` for batches that the model cannot learn from; the log warns of ones larger than the set."""
    if batch_size < 2 and any(isinstance(module, _BatchNorm) for module in model.modules()):
        came = f"--batch-size {batch_size} for a model with batch norm"
        raise problem("at least 2 images, whose mean and spread differ from them", came, "use e.g. --batch-size 100")
    if batch_size > len(train):
        said = "--batch-size %d is more than the %d training images: every minibatch holds some of them several times"
        log.warning(said, batch_size, len(train))


def binarisation_of(model: ImageModel, asked: str) -> str:
    """stochastic, fixed or none. Raises `InputError` where the model's likelihood would be one of other data."""
    if asked == "auto":
        return "stochastic" if model.binary else "none"
    if asked != "none" and model.log_determinant is not None:
        came = f"--binarise {asked}, whose bits per dimension would be of other images than the data"
        raise problem("grey levels as they are for a likelihood of levels", came, "leave --binarise out")
    if asked == "none" and model.binary:
        came = "--binarise none, and a grey level has no probability there"
        raise problem(
            "images of zeros and ones for the likelihood bernoulli", came, "use --binarise stochastic or fixed"
        )
    return asked
