"""Overlap of two sets of features, estimated with balls that reach to the k-th nearest neighbor of each point."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rlgen.errors import problem

PIECE = 1000
"""Rows of the distance matrix held at a time."""
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
