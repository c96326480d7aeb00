"""Checks of the images, and of settings that must fit them, before a training starts."""

import logging
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from rlgen.data.images import ImageSet, fixed_binarization
from rlgen.errors import problem
from rlgen.generators.classifier import SMALLEST
from rlgen.generators.classifier_files import load_extractor
from rlgen.generators.image_model import ImageModel, Translates, VariesFactors
from rlgen.generators.metrics.inception import require_inception
from rlgen.system.rng import own_randomness

from ..image_metrics import without_classes

log = logging.getLogger("rlgen")
FACTOR_SEED, PIECE = 40_000, 500
LEAST_COMPARED = 6
"""Fewest images whose features can be compared: density and coverage use 5 neighbors."""


def require_classifier_file(classifier: str) -> None:
    """Raise `InputError` unless `classifier` is auto, none, inception (if available) or an existing file."""
    if classifier == "inception":
        require_inception()
    elif classifier not in ("auto", "none") and not Path(classifier).is_file():
        got = f"{classifier!r}, where no file is"
        raise problem("a classifier auto, inception, none, or the .json of a saved one", got, "check the path")


def require_one_kind(train: ImageSet, test: ImageSet) -> None:
    """Raise `InputError` unless the test images have the shape and the classes of the training images, and these are
    bright somewhere."""
    if (brightest := int(train.images.max())) < 2:
        got = f"none above {brightest} in {train.name}"
        raise problem("bytes from 0 (dark) to 255 (bright)", got, "multiply images of zeros and ones by 255")
    if train.shape != test.shape:
        shapes = [" × ".join(str(size) for size in each.shape) for each in (train, test)]
        got = f"training images of {shapes[0]} and test images of {shapes[1]} in {train.name}"
        raise problem("training and test images of one shape", got, "take all files from one data set")
    unknown = sorted(set(test.labels.tolist()) - set(train.labels.tolist()))
    if unknown and not train.counted:
        named = ", ".join(test.class_names[label] if test.class_names else str(label) for label in unknown)
        got = f"test images of class {named}, of which there are no training images in {train.name}"
        raise problem("test images of the training images' classes", got, "take all files from one data set")


def require_measurable(train: ImageSet, test: ImageSet, classifier: str, measured: int) -> None:
    """Raise `InputError` if the final metrics would have too few images, or images that the classifier does not
    take; log a warning for images without classes, of which no classifier can be trained."""
    if len(test) < 2:
        raise problem("at least 2 test images", f"{len(test)} in {test.name}", "add test images to the data")
    if classifier == "none":
        return
    if (missing := without_classes(classifier, train)) is not None:
        log.warning("FID and similar metrics are not measured: %s", missing)
        return
    remedy = "add --classifier none, which omits FID and similar metrics"
    if min(len(test), measured) < LEAST_COMPARED:
        got = f"{len(test)} test images and --measured {measured}"
        raise problem(f"at least {LEAST_COMPARED} images to compare features of", got, remedy)
    if classifier == "inception":
        return
    if classifier == "auto":
        if min(train.shape[1:]) < SMALLEST:
            got = f"{train.shape[1]} × {train.shape[2]} in {train.name}"
            raise problem(f"images of at least {SMALLEST} × {SMALLEST} for a classifier", got, remedy)
        return
    known = load_extractor(Path(classifier)).network
    if known.n_classes < 2:
        got = f"one of a single class in {classifier}, whose features are random"
        raise problem("a classifier of at least 2 classes", got, "use another one, or --classifier none")
    if known.shape != train.shape or known.n_classes < train.n_classes:
        kinds = [f"{' × '.join(map(str, each.shape))} of {each.n_classes} classes" for each in (known, train)]
        raise problem(f"images of {kinds[0]}, as {classifier} knows", f"{kinds[1]} in {train.name}", "use another one")


def require_domains(model: ImageModel, test: ImageSet, classifier: str) -> None:
    """Raise `InputError` if a model that translates has too few test images of one of its domains."""
    if not isinstance(model, Translates):
        return
    least = 2 if classifier == "none" else LEAST_COMPARED
    for label in model.domains:
        if (count := int((test.labels == label).sum())) < least:
            got = f"{count} of class {label} in {test.name}"
            raise problem(f"at least {least} test images of each domain", got, "choose other domains, or add images")


def require_batches(model: ImageModel, batch_size: int, train: ImageSet) -> None:
    """Raise `InputError` for batches that the model cannot learn from; log a warning for ones larger than the data
    set."""
    if batch_size < 2 and any(isinstance(module, _BatchNorm) for module in model.modules()):
        got = f"--batch-size {batch_size} for a model with batch norm"
        raise problem(
            "at least 2 images per batch, because batch norm divides by their standard deviation",
            got,
            "use e.g. --batch-size 100",
        )
    model.require_batch_size(batch_size)
    if batch_size > len(train):
        said = "--batch-size %d is more than the %d training images: every minibatch has some of them several times"
        log.warning(said, batch_size, len(train))


def binarization_of(model: ImageModel, asked: str) -> str:
    """The binarization `asked` for (auto: the model's own): stochastic, fixed or none. Raises `InputError` if the
    model's likelihood would not be one of the data."""
    if asked == "auto":
        return "stochastic" if model.binary else "none"
    if asked != "none" and model.log_determinant is not None:
        got = f"--binarize {asked}, which gives bits per dimension of other images than the data"
        raise problem("unchanged grey levels for a likelihood of levels", got, "leave --binarize out")
    if asked == "none" and model.binary:
        got = "--binarize none, which gives grey levels without a probability"
        raise problem(
            "images of zeros and ones for the likelihood bernoulli", got, "use --binarize stochastic or fixed"
        )
    return asked


def as_seen(test: ImageSet, model: ImageModel, binarize: str) -> ImageSet:
    """Test images as a model trained with such binarization sees images: binarized once, and with random values of
    the factors that it varies, drawn once."""
    seen = test if binarize == "none" else fixed_binarization(test)
    return _with_factors(seen, model) if isinstance(model, VariesFactors) else seen


@torch.no_grad()
def _with_factors(test: ImageSet, model: VariesFactors) -> ImageSet:
    with own_randomness(FACTOR_SEED, test.images.device):
        values = model.factor_values(len(test))
    pieces = [
        model.render(piece, some).mul(255).round().to(torch.uint8)
        for (piece, _), some in zip(test.in_order(PIECE), values.split(PIECE), strict=True)
    ]
    return replace(test, images=torch.cat(pieces), name=f"{test.name}, with random {' and '.join(model.factors)}")
