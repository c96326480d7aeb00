"""Scores of generated images against real ones: distances of features, Fréchet (FID) and kernel (KID); overlap of
features, estimated with balls that reach to the k-th nearest neighbor of each point; and all scores as one flat
table."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from rlgen.errors import problem
from rlgen.generators.metrics.classes import accuracy, mode_coverage
from rlgen.generators.metrics.inception import Extractor, inception_score


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
"""Rows of a matrix of kernels or distances held at a time."""


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


EXACT = "donot_use_mm_for_euclid_dist"
"""Mode of `torch.cdist` that subtracts, so that the distance of equal points is exactly 0."""


class PrecisionRecall(NamedTuple):
    precision: Float[Tensor, ""]
    """Share of the generated features within the balls of the real ones: quality."""
    recall: Float[Tensor, ""]
    """Share of the real features within the balls of the generated ones: variety."""


class DensityCoverage(NamedTuple):
    density: Float[Tensor, ""]
    """Mean number of real balls that contain a generated feature, divided by k; about 1 for equal distributions."""
    coverage: Float[Tensor, ""]
    """Share of the real balls with a generated feature inside."""


def precision_recall(real: Float[Tensor, "n f"], fake: Float[Tensor, "m f"], k: int = 3) -> PrecisionRecall:
    """Improved precision and recall. Kynkäänniemi et al. 2019 (1904.06991), eqs. 1 and 2, with the paper's k = 3.

    Memory grows with N, time with N². Both sides should have the same number of images.
    """
    inside_real = torch.cat([inside.any(1) for inside in _inside(fake, real, k)])
    inside_fake = torch.cat([inside.any(1) for inside in _inside(real, fake, k)])
    return PrecisionRecall(inside_real.double().mean(), inside_fake.double().mean())


def density_coverage(real: Float[Tensor, "n f"], fake: Float[Tensor, "m f"], k: int = 5) -> DensityCoverage:
    """Density and coverage, which are less sensitive to outliers than precision and recall. Naeem et al. 2020
    (2002.09797), eqs. 3 and 4, with the paper's k = 5.

    Differs from the released code: the balls are closed, because those of `precision_recall` are; only ties differ.
    """
    around = torch.zeros(len(fake), dtype=torch.float64, device=fake.device)
    covered = torch.zeros(len(real), dtype=torch.bool, device=real.device)
    start = 0
    for inside in _inside(fake, real, k):
        around[start : start + len(inside)] = inside.double().sum(1)
        covered |= inside.any(0)
        start += len(inside)
    return DensityCoverage(around.mean() / k, covered.double().mean())


def neighbor_distance(points: Float[Tensor, "n f"], k: int) -> Float[Tensor, " n"]:
    """Distance of each point to its k-th nearest other point, float64."""
    if not 1 <= k < len(points):
        raise problem(f"more than {k} features, each with a {k}. neighbor", f"{len(points)}", "measure more images")
    rows = points.double()
    # k + 1, because the point itself is at distance 0.
    return torch.cat(
        [torch.cdist(piece, rows, compute_mode=EXACT).kthvalue(k + 1, dim=1).values for piece in rows.split(PIECE)]
    )


def _inside(points: Float[Tensor, "n f"], centers: Float[Tensor, "m f"], k: int) -> Iterator[Bool[Tensor, "piece m"]]:
    """For each piece of `points`, whether each point lies in the ball around each of `centers`."""
    radii = neighbor_distance(centers, k)
    rows = centers.double()
    for piece in points.double().split(PIECE):
        yield torch.cdist(piece, rows, compute_mode=EXACT) <= radii


NEIGHBOURS = 10_000
"""Maximum number of images on either side for precision, recall, density and coverage, whose time is quadratic."""


def image_scores(
    real: Float[Tensor, "n c h w"],
    fake: Float[Tensor, "m c h w"],
    extractor: Extractor,
    fake_labels: Int64[Tensor, " m"] | None = None,
    neighbors: int = NEIGHBOURS,
) -> dict[str, float | str]:
    """Scores of the generated images `fake`, with the settings that they depend on.

    Use real images of the test split, so that the scores also show a generator that has memorized its training images.
    All scores depend on the number of images. Compare only rows with equal `n_real` and `n_fake` (for precision,
    recall, density and coverage: equal `n_neighbors_…`) and the same `extractor_hash`.

    Args:
        real: images in [0, 1].
        fake: generated images in [0, 1], in random order.
        extractor: source of the features and class probabilities.
        fake_labels: the classes that the generated images were conditioned on, if any; adds `conditional_accuracy`.
        neighbors: number of images of either side, the first ones, for precision, recall, density and coverage.

    Returns:
        fid, kid, inception_score, inception_score_std (10 splits), inception_score_real, precision, recall, density,
        coverage, modes_hit, modes_hit_real (the same of the real images), modes_kl (nats to uniform), n_real, n_fake,
        n_neighbors_real, n_neighbors_fake, extractor, extractor_hash.

    Raises:
        InputError: images outside [0, 1] or not finite, too few of them, labels that do not fit.
    """
    for name, images in (("real", real), ("generated", fake)):
        _check(name, images)
    real_features, fake_features = extractor.features(real), extractor.features(fake)
    real_probs, fake_probs = extractor.probs(real), extractor.probs(fake)
    score = inception_score(fake_probs, splits=min(10, len(fake)))
    near_real, near_fake = real_features[:neighbors], fake_features[:neighbors]
    manifold, covered = precision_recall(near_real, near_fake), density_coverage(near_real, near_fake)
    modes = mode_coverage(fake_probs.argmax(-1), fake_probs.shape[1])
    table: dict[str, float | str] = {
        "fid": float(frechet_inception_distance(real_features, fake_features)),
        "kid": float(kernel_inception_distance(real_features, fake_features)),
        "inception_score": float(score.mean),
        "inception_score_std": float(score.std),
        "inception_score_real": float(inception_score(real_probs, splits=min(10, len(real))).mean),
        "precision": float(manifold.precision),
        "recall": float(manifold.recall),
        "density": float(covered.density),
        "coverage": float(covered.coverage),
        "modes_hit": float(modes.hit),
        "modes_hit_real": float(mode_coverage(real_probs.argmax(-1), real_probs.shape[1]).hit),
        "modes_kl": modes.kl,
        "n_real": float(len(real)),
        "n_fake": float(len(fake)),
        "n_neighbours_real": float(len(near_real)),
        "n_neighbours_fake": float(len(near_fake)),
        "extractor": extractor.name,
        "extractor_hash": extractor.hash,
    }
    if fake_labels is not None:
        table["conditional_accuracy"] = accuracy(fake_probs, fake_labels.to(fake_probs.device))
    return table


def _check(name: str, images: Float[Tensor, "n c h w"]) -> None:
    if not len(images):
        raise problem(f"{name} images", "none", "measure at least some hundreds")
    low, high = (float(value) for value in torch.aminmax(images))
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise problem(f"{name} images in [0, 1]", f"{low:g} to {high:g}", "scale them to [0, 1], as `sample` does")
