"""The metrics of a trained image model: all that the model supports, and the check that its outputs are finite."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from rlgen.data.images import ImageSet
from rlgen.display import Metric, Panel
from rlgen.equations.variational_bounds import bits_per_dimension
from rlgen.errors import problem
from rlgen.generators.classifier import ClassifierConfig
from rlgen.generators.classifier_files import classifier_extractor, load_extractor
from rlgen.generators.image_model import (
    Attackable,
    Classifies,
    FindsObjects,
    HasBound,
    HasFeatures,
    HasLogDensity,
    HasLogProb,
    HasLogWeight,
    ImageModel,
    InfersCategory,
    Samples,
    Translates,
)
from rlgen.generators.metrics.classes import accuracy, code_accuracy, fit_linear_probe, semi_supervised_errors
from rlgen.generators.metrics.inception import Extractor, InceptionExtractor, in_pieces
from rlgen.generators.metrics.log_likelihood import exact_log_weight, negative_log_likelihood, parzen
from rlgen.generators.metrics.scores import image_scores
from rlgen.generators.metrics.variety import FEWEST, collapse, pixel_variety, variety
from rlgen.generators.trainer import Diverged, Trainer
from rlgen.nn.attacks import AttackName
from rlgen.system.rng import own_randomness

from . import factor_metrics
from .factor_metrics import factor_r2

PANELS = (
    Panel(
        "Test images: negative log-likelihood, at most [nats]",
        (Metric("evaluation/nll", "bound", band="evaluation/nll_standard_error"),),
    ),
    Panel(
        "Test images: log-density of dequantized pixels [nats]",
        (Metric("evaluation/log_density", "log-density", band="evaluation/log_density_standard_error"),),
    ),
    Panel(
        "Test images: length of their code, at most [bits per dimension]",
        (Metric("evaluation/bits_per_dimension", "bound"),),
    ),
    Panel("Test images in the wrong class", (Metric("evaluation/test_error", "share"),), limits=(0, None)),
    Panel("Test images with all objects counted", (Metric("evaluation/count_accuracy", "share"),), limits=(0, 1)),
    *factor_metrics.PANELS,
    Panel("How many test images these are", (Metric("evaluation/test_errors", "images"),), drawn=False),
    Panel(
        "Attacked test images in the wrong class",
        (Metric("evaluation/robust_error_fgsm", "FGSM"), Metric("evaluation/robust_error_pgd", "PGD")),
        limits=(0, 1),
    ),
    Panel(
        "Variety of samples",
        (
            Metric("evaluation/recall", "recall"),
            Metric("evaluation/precision", "precision"),
            Metric("evaluation/relative_std", "relative standard deviation"),
        ),
        limits=(0, None),
    ),
    Panel(
        "Classes",
        (Metric("evaluation/modes_hit", "of samples"), Metric("evaluation/modes_hit_real", "of test images")),
        limits=(0, None),
    ),
)
"""Panels of the metrics of evaluations during the training."""
RESULTS = (
    Metric("nll", "negative log-likelihood", "nats at most", "nll_standard_error"),
    Metric("elbo", "evidence lower bound", "nats", "elbo_standard_error"),
    Metric("log_density", "log-density of dequantized pixels", "nats", "log_density_standard_error"),
    Metric("bits_per_dimension", "bits per dimension", "at most"),
    Metric("test_error", "test images in the wrong class", share=True),
    Metric("count_accuracy", "objects counted right", share=True),
    *factor_metrics.RESULTS,
    Metric("robust_error_fgsm", "of those attacked by FGSM", share=True),
    Metric("robust_error_pgd", "of those attacked by PGD", share=True),
    Metric("fid", "FID"),
    Metric("inception_score", "inception score", "", "inception_score_std"),
    Metric("precision", "precision", share=True),
    Metric("recall", "recall", share=True),
    Metric("modes_hit", "classes among samples"),
    Metric("relative_std", "standard deviation of samples", "of the data's"),
    Metric("parzen", "Parzen log-likelihood", "nats", "parzen_standard_error"),
    Metric("conditional_accuracy", "asked class made", share=True),
    Metric("code_accuracy", "class inferred by the code", share=True),
    Metric("probe_accuracy", "linear probe of features", share=True),
    Metric("parameters", "size", "parameters"),
)
"""Metrics of the finished model that reports show first."""
SEED = 30_000
PIECE = 500
"""Images processed at a time."""
VALIDATION, PROBED = 1_000, 20_000
"""Maximum number of test images that choose the width of the Parzen windows, and of training images for a probe."""


def weighs_samples(kind: type[ImageModel]) -> bool:
    """Whether importance samples bound the likelihood of models of a class."""
    return issubclass(kind, HasLogWeight) and not issubclass(kind, HasLogProb | HasBound)


def likelihood_bounds(model: ImageModel, images: ImageSet, most: int, samples: int = 1) -> dict[str, float]:
    """`nll`: -log p(x) of a model that knows it; otherwise minus a bound on it, with `samples` latents for each image
    where there are importance weights, with one sample minus the evidence lower bound. Nats per image, mean over at
    most `most` of `images` with its standard error. `bits_per_dimension`: the same as a code length of levels 0 to 255,
    if that is the model's likelihood. Empty for models without likelihood."""
    if (single := _without_samples(model)) is not None:
        log_weight, samples = exact_log_weight(single), 1
    elif isinstance(model, HasLogWeight):
        log_weight = model.log_weight
    else:
        return {}
    batches = (piece for piece, _ in images.some(most).in_order(PIECE))
    with own_randomness(SEED, images.images.device):
        found = negative_log_likelihood(log_weight, batches, samples)
    bounds = {"nll": found.mean, "nll_standard_error": found.standard_error}
    return bounds | _bits(model, -found.mean)


def log_densities(model: ImageModel, images: ImageSet, most: int) -> dict[str, float]:
    """`log_density`: log-density of dequantized pixels, x = (level + noise) / 256, nats per image, mean over at most
    `most` of `images` with its standard error; papers call it the log-likelihood. `bits_per_dimension`: upper limit of
    the code length of levels 0 to 255. Empty for models without exact density."""
    if not isinstance(model, HasLogDensity):
        return {}
    with own_randomness(SEED, images.images.device):
        pieces = [model.log_density(piece).double() for piece, _ in images.some(most).in_order(PIECE)]
    values = torch.cat(pieces)
    mean, error = values.mean().item(), values.std().item() / math.sqrt(len(values))
    return {"log_density": mean, "log_density_standard_error": error} | _bits(model, mean)


def _bits(model: ImageModel, log_prob: float) -> dict[str, float]:
    """`bits_per_dimension` of a log-likelihood in nats per image, if it is one of levels."""
    if model.log_determinant is None:
        return {}
    value = torch.tensor(log_prob, dtype=torch.float64)
    return {"bits_per_dimension": bits_per_dimension(value, model.shape.numbers, model.log_determinant).item()}


def _without_samples(model: ImageModel) -> Callable[[Tensor], Tensor] | None:
    """The log-likelihood of images [B], or the bound on it, of a model without importance weights."""
    if isinstance(model, HasLogProb):
        return model.log_prob
    return model.bound if isinstance(model, HasBound) else None


def classification_error(model: ImageModel, images: ImageSet) -> dict[str, float]:
    """`test_errors`: number of `images` that the model puts into the wrong class, and `test_error`: their fraction.
    Empty for models that do not classify."""
    if not isinstance(model, Classifies):
        return {}
    errors = semi_supervised_errors(in_pieces(model.class_logits, images.floats()), images.labels)
    return {"test_errors": errors, "test_error": errors / len(images)}


def count_accuracy(model: ImageModel, images: ImageSet) -> dict[str, float]:
    """`count_accuracy`: fraction of `images` in which the model finds as many objects as there are. Empty for models
    that do not find objects, and for images whose labels are not numbers of objects."""
    if not isinstance(model, FindsObjects) or not images.counted:
        return {}
    right = torch.cat([model.count(piece) == labels for piece, labels in images.in_order(PIECE)])
    return {"count_accuracy": right.float().mean().item()}


def robust_errors(model: ImageModel, images: ImageSet) -> dict[str, float]:
    """`robust_error_fgsm` and `robust_error_pgd`: fraction of `images` that the model puts into the wrong class after
    an attack with its labels. Empty for models that are not attacked."""
    if not isinstance(model, Attackable):
        return {}
    found = {}
    with own_randomness(SEED, images.images.device):
        for name in get_args(AttackName):
            pieces = (
                (model.class_logits(model.attacked(piece, labels, name)), labels)
                for piece, labels in images.in_order(PIECE)
            )
            wrong = torch.stack([(logits.argmax(-1) != labels).sum() for logits, labels in pieces])
            found[f"robust_error_{name}"] = int(wrong.sum()) / len(images)
    return found


def measure(
    model: ImageModel,
    train: ImageSet,
    test: ImageSet,
    held_out: ImageSet,
    classifier: str,
    measured: int,
    importance_samples: int,
) -> dict[str, Any]:
    """Metrics by name, for a model in evaluation mode. Likelihoods are in nats per image. Those of samples are absent
    for a model without.

    `held_out`: the test images in the form that the model sees. Samples are compared with them, except for grey samples
    of a model of zeros and ones. `classifier`: auto, inception, none, or the card of a saved one. `not_measured` says
    why metrics by a classifier are absent, where the images have no classes.
    """
    found: dict[str, Any] = {"n_test": min(measured, len(held_out))}
    if _without_samples(model) is not None:
        found |= likelihood_bounds(model, held_out, measured) | {"nll_of": held_out.name}
    elif isinstance(model, HasLogWeight):
        bound = likelihood_bounds(model, held_out, measured)
        found |= {"elbo": -bound["nll"], "elbo_standard_error": bound["nll_standard_error"]}
        found |= likelihood_bounds(model, held_out, measured, importance_samples)
        found |= {"nll_importance_samples": importance_samples, "nll_of": held_out.name}
    found |= log_densities(model, held_out, measured)
    found |= count_accuracy(model, held_out) | factor_r2(model, train, test, measured)
    found |= classification_error(model, held_out) | robust_errors(model, held_out.some(measured))
    if isinstance(model, InfersCategory) and test.classified:
        codes = torch.cat([model.infer_category(piece) for piece, _ in test.in_order(PIECE)])
        found["code_accuracy"] = code_accuracy(codes, test.labels, model.n_codes, test.n_classes).accuracy
    if isinstance(model, HasFeatures) and train.classified:
        found["probe_accuracy"] = _probed(model, train.some(PROBED), test)
    if isinstance(model, Samples):
        found |= _of_samples(model, test, held_out, measured, extractor_of(classifier, train, test))
        missing = without_classes(classifier, train)
        found |= {} if missing is None else {"not_measured": missing}
    return found


def _of_samples(
    model: ImageModel, test: ImageSet, held_out: ImageSet, measured: int, extractor: Extractor | None
) -> dict[str, Any]:
    """Metrics of `measured` samples, compared with test images."""
    samples, labels = _drawn(model, measured, held_out)
    compared = _comparable(model, samples, test, held_out)
    real = compared.some(measured).floats()
    found: dict[str, Any] = {"n_test": len(real), "n_samples": len(samples), "compared_with": compared.name}
    found |= pixel_variety(real, samples) | _parzen(samples, real)
    if extractor is not None:
        known = not isinstance(extractor, InceptionExtractor) and model.shape.n_classes > 1  # inception has others
        classes = labels if known else None
        found |= image_scores(real, samples, extractor, classes)
    warning = collapse_of(model, found, len(real))
    return found if warning is None else {**found, "warning": warning}


def sample_variety(
    model: ImageModel, test: ImageSet, held_out: ImageSet, most: int, extractor: Extractor | None
) -> dict[str, float]:
    """The variety of at most `most` samples, compared with as many test images. Empty for models without samples, or
    with a likelihood, which is low where images are missed, and whose samples may take long."""
    by_likelihood = (HasBound, HasLogDensity, HasLogProb, HasLogWeight)
    if not isinstance(model, Samples) or isinstance(model, by_likelihood):
        return {}
    samples, _ = _drawn(model, min(most, len(test)), held_out)
    real = _comparable(model, samples, test, held_out).some(len(samples)).floats()
    return variety(real, samples, extractor)


def collapse_of(model: ImageModel, found: dict[str, Any], n_images: int) -> str | None:
    """A warning if the variety `found` in `n_images` samples shows that they have collapsed. None for translations,
    which are as varied as the images that are translated, and for fewer images than say something."""
    if isinstance(model, Translates) or n_images < FEWEST:
        return None
    return collapse(found, model.collapse_remedy)


def _drawn(model: ImageModel, count: int, held_out: ImageSet) -> tuple[Tensor, Tensor | None]:
    """Samples [count, C, H, W] of a model that `Samples`, and the labels that they were conditioned on, if any. Those
    of a model that translates are translations of at most `count` of the `held_out` images."""
    assert isinstance(model, Samples)
    if isinstance(model, Translates):
        source = held_out.of_class(model.domains[0]).some(count)
        return torch.cat([model.translate(piece) for piece, _ in source.in_order(PIECE)]), None
    device = held_out.images.device
    labels = torch.arange(count, device=device) % model.shape.n_classes if model.conditional else None
    with own_randomness(SEED, device):
        return torch.cat([model.sample(n, part) for n, part in _pieces(count, labels)]), labels


def _comparable(model: ImageModel, samples: Tensor, test: ImageSet, held_out: ImageSet) -> ImageSet:
    """The test images in the form of the samples: not binarized for grey samples of a model of zeros and ones, and of
    the second domain for translations."""
    grey = bool(((samples > 0) & (samples < 1)).any())
    found = test if model.binary and grey else held_out
    return found.of_class(model.domains[1]) if isinstance(model, Translates) else found


def _pieces(n: int, labels: Tensor | None) -> list[tuple[int, Tensor | None]]:
    sizes = [min(PIECE, n - start) for start in range(0, n, PIECE)]
    return list(zip(sizes, [None] * len(sizes) if labels is None else labels.split(PIECE), strict=True))


def _parzen(samples: Tensor, real: Tensor) -> dict[str, float]:
    """Log-likelihood under Parzen windows. The first images of `real`, at most half of them, choose the width and are
    not scored; training images are not scored either, because a model may have memorized them."""
    choosing = min(VALIDATION, len(real) // 2)
    window = parzen(samples.flatten(1), real[:choosing].flatten(1), real[choosing:].flatten(1))
    return {
        "parzen": window.log_likelihood,
        "parzen_standard_error": window.standard_error,
        "parzen_sigma": window.sigma,
        "parzen_n_test": len(real) - choosing,
    }


def _probed(model: HasFeatures, train: ImageSet, test: ImageSet) -> float:
    """Fraction of the test images that a linear classifier of the model's features classifies correctly."""
    seen, unseen = (in_pieces(model.features, each.floats()) for each in (train, test))
    probe = fit_linear_probe(seen, train.labels, train.n_classes)
    return accuracy(probe.logits(unseen), test.labels)


def without_classes(classifier: str, train: ImageSet) -> str | None:
    """Why no classifier can be trained to compare samples, in three parts; None if it can, or need not."""
    if classifier != "auto" or train.classified:
        return None
    expected = "images of at least 2 classes, to train the classifier whose features FID, precision and recall compare"
    remedy = (
        "put the pictures of each class into a folder of its own, or give --classifier inception or the .json of a "
        "classifier of similar images; without one, only metrics that need no classifier are measured"
    )
    return str(problem(expected, f"images without classes in {train.name}", remedy))


def extractor_of(classifier: str, train: ImageSet, test: ImageSet) -> Extractor | None:
    """Inception, the saved classifier, or one trained in minibatches no larger than `train`; None for `none`, and for
    training images without classes: features of a classifier of one class are random."""
    if classifier == "none" or without_classes(classifier, train) is not None:
        return None
    if classifier == "auto":
        usual = ClassifierConfig()
        return classifier_extractor(train, test, config=replace(usual, batch=min(usual.batch, len(train))))
    if classifier == "inception":
        return InceptionExtractor(device=train.images.device)
    kept = load_extractor(Path(classifier))
    kept.network.to(train.images.device)
    return kept


FINITE_SEED, FINITE_SAMPLES = 40_000, 8


def require_finite_model(game: Trainer[ImageModel], images: Tensor) -> None:
    """Raises `Diverged` if losses, weights, a few samples or the likelihoods of `images` [B, C, H, W], in the form that
    the model sees, are not finite: huge weights may be finite while the outputs are not. Has no effect on the training.
    Passes before the first update."""
    if game.step == 0:  # some models cannot use images before they have learned from some
        return
    game.require_finite()
    game.require_finite_weights()
    with game.evaluating() as model, own_randomness(FINITE_SEED, images.device), torch.no_grad():
        found: dict[str, Tensor] = {}
        if isinstance(model, Samples):
            rows = torch.arange(FINITE_SAMPLES, device=images.device)
            labels = rows % model.shape.n_classes if model.conditional else None
            found["samples of the model"] = model.sample(FINITE_SAMPLES, labels)
        if isinstance(model, Classifies):
            found["logits of the model"] = model.class_logits(images)
        if (single := _without_samples(model)) is not None:
            found["likelihoods of the model"] = single(images)
        elif isinstance(model, HasLogWeight):
            found["likelihoods of the model"] = model.log_weight(images, 1)
        if isinstance(model, HasLogDensity):
            found["densities of the model"] = model.log_density(images)
    finite = torch.stack([value.isfinite().all() for value in found.values()]).tolist()
    for name, fine in zip(found, finite, strict=True):
        if not fine:
            raise Diverged(game.step, name)
