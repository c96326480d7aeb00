"""Log-likelihood of images: importance sampling with an encoder, and Parzen windows around samples."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from rlgen.equations.variational_bounds import importance_weighted_bound
from rlgen.errors import problem

LogWeight = Callable[[Tensor, int], Tensor]
"""Function (images [B, C, H, W], K) → [K, B]: log p(x, z) - log q(z | x) for K draws of z from q(z | x), nats."""


class NegativeLogLikelihood(NamedTuple):
    mean: float
    """Mean over the images, nats per image."""
    standard_error: float
    """Standard error of the mean over the images, nats."""
    images: int
    """Number of images."""
    samples: int
    """Draws of the latent per image."""


def exact_log_weight(log_prob: Callable[[Tensor], Tensor]) -> LogWeight:
    """log p(x) [B], or a bound on it, as the only importance weight [1, B]."""
    return lambda images, samples: log_prob(images).expand(samples, -1)


def importance_log_likelihood(
    log_weight: LogWeight, images: Shaped[Tensor, "b ..."], samples: int, at_once: int = 100
) -> Float[Tensor, " b"]:
    """log of the mean of `samples` importance weights, nats, float64. Rezende et al. 2014 (1401.4082), appendix E; as a
    bound Burda et al. 2016 (1509.00519), eq. 8 and theorem 1.

    Its expectation is at most log p(x), and converges to it with more samples. `images` may be other data,
    such as tokens [B, T]. `at_once`: samples in memory at a time.
    """
    if samples < 1 or at_once < 1:
        raise problem("at least one sample, at least one at once", f"{samples} and {at_once}", "papers use 5000")
    with torch.no_grad():
        total: Tensor | None = None
        for start in range(0, samples, at_once):
            count = min(at_once, samples - start)
            weights = log_weight(images, count)
            if weights.shape != (count, len(images)):
                got = f"{list(weights.shape)}"
                raise problem(f"log weights [{count}, {len(images)}]", got, "return one for each draw and image")
            piece = importance_weighted_bound(weights.double()) + math.log(count)
            total = piece if total is None else torch.logaddexp(total, piece)
    assert total is not None
    return total - math.log(samples)


def negative_log_likelihood(
    log_weight: LogWeight, batches: Iterable[Float[Tensor, "_ c h w"]], samples: int = 5000, at_once: int = 100
) -> NegativeLogLikelihood:
    """Mean of -`importance_log_likelihood` over batches of images; with one sample it is the mean negative ELBO.

    For a Bernoulli likelihood the pixels are 0 or 1; report the method of binarization together with the value.
    """
    pieces = [importance_log_likelihood(log_weight, images, samples, at_once) for images in batches]
    if not pieces:
        raise problem("at least one batch of images", "none", "measure some images")
    values = -torch.cat(pieces)
    error = float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return NegativeLogLikelihood(float(values.mean()), error, len(values), samples)


SIGMAS = tuple(10 ** (-1 + step / 9) for step in range(10))
"""Ten widths from 0.1 to 1, logarithmically spaced, in units of brightness [0, 1]."""
PIECE = 500
"""Rows of the distance matrix held at a time."""


class Parzen(NamedTuple):
    log_likelihood: float
    """Mean over the test images, nats."""
    standard_error: float
    """Standard error of the mean over the test images, nats."""
    sigma: float
    """Selected width."""


def parzen_log_prob(samples: Float[Tensor, "m d"], points: Float[Tensor, "n d"], sigma: float) -> Float[Tensor, " n"]:
    """log of the mean over samples of N(point; sample, σ² I), nats, float64. Parzen 1962; Breuleux et al. 2011."""
    return _log_probs(samples, points, [sigma])[0]


def parzen(
    samples: Float[Tensor, "m d"],
    validation: Float[Tensor, "v d"],
    test: Float[Tensor, "n d"],
    sigmas: Sequence[float] = SIGMAS,
) -> Parzen:
    """Mean log-likelihood of `test`, with the width that maximizes that of `validation`. Goodfellow et al. 2014
    (1406.2661), section 5: MNIST in [0, 1], 10,000 samples, σ by cross-validation; 225 ± 2 nats.

    The estimate has a high variance and is misleading in many dimensions (Theis et al. 2016, 1511.01844, section 3):
    k-means centers score higher than the true distribution. Use it to compare with papers, not to select models.
    """
    if not len(sigmas) or min(sigmas) <= 0:
        raise problem("positive widths to choose from", f"{list(sigmas)}", "give e.g. 0.1 to 1")
    means = _log_probs(samples, validation, sigmas).mean(1)
    sigma = float(sigmas[int(means.argmax())])
    log_probs = parzen_log_prob(samples, test, sigma)
    error = float(log_probs.std()) / math.sqrt(len(test)) if len(test) > 1 else math.nan
    return Parzen(float(log_probs.mean()), error, sigma)


def _log_probs(
    samples: Float[Tensor, "m d"], points: Float[Tensor, "n d"], sigmas: Sequence[float]
) -> Float[Tensor, "s n"]:
    """Log-densities [s, n] of the points for every width, from one distance matrix."""
    if not len(samples) or not len(points):
        raise problem("samples and points", f"{len(samples)} and {len(points)}", "measure at least one image")
    center = samples.double().mean(0)  # |a|² + |b|² - 2 a·b loses less precision for small numbers
    rows, width = samples.double() - center, samples.shape[1]
    pieces = []
    for piece in (points.double() - center).split(PIECE):
        squares = piece.square().sum(1)[:, None] + rows.square().sum(1) - 2 * piece @ rows.T
        halves = squares.clamp_min_(0).mul_(-0.5)
        norms = [width * math.log(sigma * math.sqrt(2 * math.pi)) + math.log(len(rows)) for sigma in sigmas]
        pieces.append(
            torch.stack([(halves / sigma**2).logsumexp(1) - norm for sigma, norm in zip(sigmas, norms, strict=True)])
        )
    return torch.cat(pieces, dim=1)
