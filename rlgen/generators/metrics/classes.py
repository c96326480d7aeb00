"""Metrics with class labels: coverage and accuracy, the meaning of an unsupervised code, and a linear classifier of
frozen features, which measures the representation."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from rlgen.errors import problem


class ModeCoverage(NamedTuple):
    hit: int
    """Classes with at least one image."""
    kl: float
    """KL[generated classes ‖ uniform], nats: 0 for uniform classes, log K for a single class."""


def mode_coverage(labels: Int64[Tensor, " n"], n_classes: int) -> ModeCoverage:
    """Coverage of the classes that a classifier assigns to generated images. Metz et al. 2017 (1611.02163), section
    3.3, on 1000 stacked digits; the direction of the KL is theirs.

    The true distribution is assumed to be uniform, as in the paper.
    """
    if not len(labels):
        raise problem("the classes of at least one image", "none", "generate some first")
    counts = torch.bincount(labels, minlength=n_classes).double()
    if len(counts) > n_classes:
        raise problem(f"classes below {n_classes}", f"class {len(counts) - 1}", "check n_classes")
    shares = counts / counts.sum()
    return ModeCoverage(int((counts > 0).sum()), float(torch.xlogy(shares, shares).sum() + math.log(n_classes)))


def accuracy(scores: Float[Tensor, "n k"], labels: Int64[Tensor, " labels"]) -> float:
    """Share of the rows whose largest of K logits or probabilities is at the label.

    For generated images and the classes they were conditioned on it is the *conditional accuracy*, with a classifier of
    real images: a metric for CGAN, Mirza & Osindero 2014 (1411.1784).
    """
    _check(scores, labels)
    return float((scores.argmax(-1) == labels).double().mean())


def semi_supervised_errors(scores: Float[Tensor, "n k"], labels: Int64[Tensor, " labels"]) -> int:
    """Number of misclassified test images. Salimans et al. 2016 (1606.03498), table 1, report 93 ± 6.5 of 10,000 with
    100 labels.

    `scores` are those of the K real classes, without a (K+1)-th column for "generated", because no test image is
    generated.
    """
    _check(scores, labels)
    return int((scores.argmax(-1) != labels).sum())


def _check(scores: Float[Tensor, "n k"], labels: Int64[Tensor, " labels"]) -> None:
    if not len(labels) or len(scores) != len(labels):
        raise problem("a label for each row of scores", f"{len(labels)} for {len(scores)}", "give as many of both")
    if int(labels.min()) < 0 or int(labels.max()) >= scores.shape[1]:
        got = f"labels from {int(labels.min())} to {int(labels.max())}"
        raise problem(f"labels from 0 to {scores.shape[1] - 1}, as scores has columns", got, "check the classes")


class CodeAccuracy(NamedTuple):
    accuracy: float
    """Share of the second half of the images whose code is matched to their class."""
    class_of_code: tuple[int | None, ...]
    """Class of each code; None for an unmatched code, if there are more codes than classes."""


def code_accuracy(
    codes: Int64[Tensor, " n"], labels: Int64[Tensor, " labels"], n_codes: int, n_classes: int, seed: int = 0
) -> CodeAccuracy:
    """Accuracy of the code as a classifier. Chen et al. 2016 (1606.03657), section 7.2: matching each code to a
    digit, about 5 % error on MNIST.

    Codes are matched one-to-one to classes, so that the most images of a random half are classified correctly. The
    accuracy is that of the other half, because the best of K! matchings must not be evaluated on the images that it was
    selected on.

    Args:
        codes: the most probable code of each real image, 0 to n_codes - 1.
        labels: their classes, 0 to n_classes - 1.
        n_codes, n_classes: numbers of codes and classes.
        seed: random seed of the split into halves.

    Raises:
        InputError: fewer than two images, a different number of labels, or values out of range.
    """
    if len(codes) < 2 or len(codes) != len(labels):
        raise problem("at least two images, each with code and class", f"{len(codes)} and {len(labels)}", "give both")
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed)).to(codes.device)
    fit, held = order.tensor_split(2)
    class_of_code = _matching(_table(codes[fit], labels[fit], n_codes, n_classes))
    meaning = torch.tensor([-1 if each is None else each for each in class_of_code], device=codes.device)
    return CodeAccuracy(float((meaning[codes[held]] == labels[held]).double().mean()), class_of_code)


def _table(
    codes: Int64[Tensor, " n"], labels: Int64[Tensor, " n"], n_codes: int, n_classes: int
) -> Float[Tensor, "codes classes"]:
    """Counts of images by code and class."""
    for name, values, most in (("codes", codes, n_codes), ("labels", labels, n_classes)):
        if int(values.min()) < 0 or int(values.max()) >= most:
            got = f"{int(values.min())} to {int(values.max())}"
            raise problem(f"{name} from 0 to {most - 1}", got, "check the numbers of codes and classes")
    return torch.bincount(codes * n_classes + labels, minlength=n_codes * n_classes).double().view(n_codes, n_classes)


def _matching(table: Float[Tensor, "codes classes"]) -> tuple[int | None, ...]:
    """The class of each code in the matching with the most images; codes or classes may stay unmatched."""
    codes, classes = linear_sum_assignment(table.cpu().numpy(), maximize=True)
    class_of = dict(zip(codes.tolist(), classes.tolist(), strict=True))
    return tuple(class_of.get(code) for code in range(len(table)))


STEPS = 500
"""Maximum number of iterations of L-BFGS; well-scaled features need tens."""
GRADIENT = 1e-7
"""Largest absolute derivative at which L-BFGS stops."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearProbe:
    """Logits of K classes, a linear function of F features."""

    mean: Float[Tensor, " f"]
    """Mean of the features of the fit."""
    scale: Float[Tensor, " f"]
    """Standard deviation of the features of the fit; 1 for a constant feature."""
    weight: Float[Tensor, "k f"]
    """Weights of the standardized features."""
    bias: Float[Tensor, " k"]

    def logits(self, features: Float[Tensor, "n f"]) -> Float[Tensor, "n k"]:
        """Class logits [n, k] of features [n, f], float64."""
        return F.linear((features.double() - self.mean) / self.scale, self.weight, self.bias)


def fit_linear_probe(
    features: Float[Tensor, "n f"], labels: Int64[Tensor, " labels"], n_classes: int, l2: float = 1e-4
) -> LinearProbe:
    """Multinomial logistic regression on standardized features. Cox 1958; as a measure of representations Alain &
    Bengio 2017 (1610.01644) and, on a DCGAN's discriminator, Radford et al. 2016 (1511.06434), section 5.1.

    It minimizes the mean cross-entropy in nats + l2 / 2 · |weight|², on full batches, from zero weights, in float64, so
    the same features give the same probe. Raises `InputError` for unsuitable features, labels or `l2`.

    Differs from Radford et al.: logistic regression instead of a support vector machine, because `l2` is its only
    hyperparameter.
    """
    if len(features) != len(labels) or not len(labels):
        raise problem("a label for each row of features", f"{len(labels)} for {len(features)}", "give as many of both")
    if int(labels.min()) < 0 or int(labels.max()) >= n_classes:
        raise problem(f"labels from 0 to {n_classes - 1}", f"up to {int(labels.max())}", "check n_classes")
    if not l2 > 0:
        raise problem("l2 above 0, or separable classes have no minimum", f"{l2}", "give e.g. 1e-4")
    rows = features.detach().double()
    if not bool(rows.isfinite().all()):
        raise problem("finite features", "NaN or infinity among them", "check the network they come from")
    mean, std = rows.mean(0), rows.std(0, correction=0)
    scale = torch.where(std > 0, std, 1.0)
    rows = (rows - mean) / scale
    weight = rows.new_zeros(n_classes, rows.shape[1], requires_grad=True)
    bias = rows.new_zeros(n_classes, requires_grad=True)
    _minimize(rows, labels, weight, bias, l2)
    return LinearProbe(mean=mean, scale=scale, weight=weight.detach(), bias=bias.detach())


def _minimize(
    rows: Float[Tensor, "n f"],
    labels: Int64[Tensor, " n"],
    weight: Float[Tensor, "k f"],
    bias: Float[Tensor, " k"],
    l2: float,
) -> None:
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=STEPS,
        tolerance_grad=GRADIENT,
        tolerance_change=1e-14,
        history_size=20,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        """The loss, detached, because L-BFGS converts it to a float and torch warns if it has a gradient."""
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(rows, weight, bias), labels) + l2 / 2 * weight.square().sum()
        value.backward()
        return value.detach()

    with torch.enable_grad():
        optimizer.step(loss)
