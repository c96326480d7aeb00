"""Log-likelihood of images under a model with latents, by importance sampling from its encoder."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.equations.elbo import importance_weighted_bound
from rlgen.errors import problem

LogWeight = Callable[[Tensor, int], Tensor]
"""(images [B, C, H, W], K) → [K, B]: log p(x, z) - log q(z | x) of K draws of z from q(z | x), nats."""


class NegativeLogLikelihood(NamedTuple):
    mean: float
    """Over the images, nats per image."""
    standard_error: float
    """Of that mean, over the images, nats."""
    images: int
    samples: int
    """Draws of the latent for each image."""


def importance_log_likelihood(
    log_weight: LogWeight, images: Float[Tensor, "b c h w"], samples: int, at_once: int = 100
) -> Float[Tensor, " b"]:
    """log of the mean of `samples` importance weights, nats, float64; below log p(x) on average, and rising to it
    with more samples. Rezende et al. 2014 (1401.4082), appendix E; as a bound Burda et al. 2016 (1509.00519), eq. 8
    and theorem 1.

    `at_once` samples are in memory at a time.
    """
    if samples < 1 or at_once < 1:
        raise problem("at least one sample, at least one at once", f"{samples} and {at_once}", "papers use 5000")
    with torch.no_grad():
        total: Tensor | None = None
        for start in range(0, samples, at_once):
            count = min(at_once, samples - start)
            weights = log_weight(images, count)
            if weights.shape != (count, len(images)):
                came = f"{list(weights.shape)}"
                raise problem(f"log weights [{count}, {len(images)}]", came, "return one for each draw and image")
            piece = importance_weighted_bound(weights.double()) + math.log(count)
            total = piece if total is None else torch.logaddexp(total, piece)
    assert total is not None
    return total - math.log(samples)


def negative_log_likelihood(
    log_weight: LogWeight, batches: Iterable[Float[Tensor, "_ c h w"]], samples: int = 5000, at_once: int = 100
) -> NegativeLogLikelihood:
    """Mean of -`importance_log_likelihood` over batches of images; with one sample it is the mean negative ELBO.

    Of pixels that are 0 or 1 for a Bernoulli likelihood: how they were made so belongs beside the number.
    """
    pieces = [importance_log_likelihood(log_weight, images, samples, at_once) for images in batches]
    if not pieces:
        raise problem("at least one batch of images", "none", "measure some images")
    values = -torch.cat(pieces)
    error = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return NegativeLogLikelihood(float(values.mean()), error, len(values), samples)
