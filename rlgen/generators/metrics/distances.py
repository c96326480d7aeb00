"""Distances between sets of features: Fréchet (FID) and kernel (KID)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.errors import problem


class Gaussian(NamedTuple):
    """N(mean, covariance) over F features, float64."""

    mean: Float[Tensor, " f"]
    covariance: Float[Tensor, "f f"]


def fitted_gaussian(features: Float[Tensor, "n f"]) -> Gaussian:
    """Mean and unbiased covariance (divided by N - 1), in float64."""
    if len(features) < 2:
        raise problem("features of at least two images", f"{len(features)}", "measure more images")
    rows = features.double()
    mean = rows.mean(0)
    centered = rows - mean
    return Gaussian(mean, centered.T @ centered / (len(rows) - 1))


def frechet_distance(one: Gaussian, other: Gaussian) -> Float[Tensor, ""]:
    """|m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½), squared units. Dowson & Landau 1982, eq. 4.

    The trace of the root is the sum of the singular values of C₁^½ C₂^½ (the matrix C₁^½ C₂ C₁^½ has the eigenvalues of
    C₁ C₂). This requires only roots of symmetric matrices: no complex numbers, no jitter, and the covariances may be
    singular.
    """
    root = torch.linalg.svdvals(_root(one.covariance) @ _root(other.covariance)).sum()
    distance = (one.mean - other.mean).square().sum() + one.covariance.trace() + other.covariance.trace() - 2 * root
    return distance.clamp_min(0)  # rounding: for equal Gaussians about 1e-14 of their traces


def frechet_inception_distance(real: Float[Tensor, "n f"], fake: Float[Tensor, "m f"]) -> Float[Tensor, ""]:
    """FID of the features of real and generated images; 0 is best. Heusel et al. 2017 (1706.08500), eq. 6.

    Biased (Bińkowski et al. 2018, 1801.01401, section 4), upwards by about 1 / N (Chong & Forsyth 2020, 1911.07023).
    Values are comparable only for equal N and the same extractor.

    Differs from the paper: features of any extractor, because those of Inception are made for photographs.
    """
    return frechet_distance(fitted_gaussian(real), fitted_gaussian(fake))


def _root(covariance: Float[Tensor, "f f"]) -> Float[Tensor, "f f"]:
    """Square root of a symmetric matrix; eigenvalues that are negative by rounding count as zero."""
    values, vectors = torch.linalg.eigh(covariance.double())
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


PIECE = 1000
"""Rows of the kernel matrix held at a time."""


def kernel_inception_distance(real: Float[Tensor, "n f"], fake: Float[Tensor, "m f"]) -> Float[Tensor, ""]:
    """KID: unbiased squared MMD with k(x, y) = (x·y / F + 1)³; 0 is best, and below 0 is noise. Bińkowski et al. 2018
    (1801.01401), section 4; the estimator is Gretton et al. 2012, eq. 3.

    Differs from the paper: all pairs instead of the mean over subsets of 1000, because that is also unbiased and less
    noisy.
    """
    if min(len(real), len(fake)) < 2:
        got = f"{len(real)} real and {len(fake)} generated"
        raise problem("features of at least two images on either side", got, "measure more images")
    x, y = real.double(), fake.double()
    n, m = len(x), len(y)
    same_x = (_kernel_sum(x, x) - _kernel(x.square().sum(1), x.shape[1]).sum()) / (n * (n - 1))
    same_y = (_kernel_sum(y, y) - _kernel(y.square().sum(1), y.shape[1]).sum()) / (m * (m - 1))
    return same_x + same_y - 2 * _kernel_sum(x, y) / (n * m)


def _kernel_sum(x: Float[Tensor, "n f"], y: Float[Tensor, "m f"]) -> Float[Tensor, ""]:
    """Sum of the kernel over all pairs."""
    return torch.stack([_kernel(piece @ y.T, x.shape[1]).sum() for piece in x.split(PIECE)]).sum()


def _kernel(product: Float[Tensor, "*pairs"], width: int) -> Float[Tensor, "*pairs"]:
    return (product / width + 1) ** 3
