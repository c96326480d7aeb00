"""Squared maximum mean discrepancy of a polynomial kernel: KID, on an extractor's features."""

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.errors import problem

PIECE = 1000
"""Rows of the kernel matrix held at a time."""


def kernel_inception_distance(real: Float[Tensor, "n f"], fake: Float[Tensor, "m f"]) -> Float[Tensor, ""]:
    """KID: unbiased squared MMD with k(x, y) = (x·y / F + 1)³; 0 is best, and below 0 is noise. Bińkowski et al. 2018
    (1801.01401), section 4; the estimator is Gretton et al. 2012, eq. 3.

    Differs from the paper: all pairs at once instead of the mean over subsets of 1000, because that is as unbiased
    and less noisy.
    """
    if min(len(real), len(fake)) < 2:
        came = f"{len(real)} real and {len(fake)} generated"
        raise problem("features of at least two images on either side", came, "measure more images")
    x, y = real.double(), fake.double()
    n, m = len(x), len(y)
    same_x = (_kernel_sum(x, x) - _kernel(x.square().sum(1), x.shape[1]).sum()) / (n * (n - 1))
    same_y = (_kernel_sum(y, y) - _kernel(y.square().sum(1), y.shape[1]).sum()) / (m * (m - 1))
    return same_x + same_y - 2 * _kernel_sum(x, y) / (n * m)


def _kernel_sum(x: Float[Tensor, "n f"], y: Float[Tensor, "m f"]) -> Float[Tensor, ""]:
    """Over all pairs."""
    return torch.stack([_kernel(piece @ y.T, x.shape[1]).sum() for piece in x.split(PIECE)]).sum()


def _kernel(product: Float[Tensor, "*pairs"], width: int) -> Float[Tensor, "*pairs"]:
    return (product / width + 1) ** 3
