"""Metrics of class labels: coverage of the classes by a generator, and accuracy."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

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
