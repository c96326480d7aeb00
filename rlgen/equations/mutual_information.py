"""Lower bounds of the mutual information between latent codes and what was generated from them, nats.

I(c; x) ≥ E[log Q(c | x)] + H(c), Q any guess of the code from x: the better it guesses, the closer the bound.
Barber & Agakov 2003; as an objective of generator and Q alike InfoGAN, Chen et al. 2016 (1606.03657), eq. 5.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from rlgen.equations.gaussians import gaussian_log_prob

Scalar = Float[Tensor, ""]


def categorical_information(
    logits: Float[Tensor, "B K"], codes: Int[Tensor, " B"], prior: Float[Tensor, " K"] | None = None
) -> Scalar:
    """The bound of codes drawn from the probabilities `prior` (None: all K alike), guessed by softmax(logits). At most
    H(c), log K for equal ones. Chen et al. 2016 (1606.03657), eq. 5."""
    entropy = math.log(logits.shape[1]) if prior is None else torch.special.entr(prior).sum()
    return entropy - F.cross_entropy(logits, codes)


def uniform_information(
    mean: Float[Tensor, "B C"], std: Float[Tensor, "B C"], codes: Float[Tensor, "B C"], low: float, high: float
) -> Scalar:
    """The bound of C codes, each uniform between `low` and `high` and guessed by N(mean, std²). Chen et al. 2016
    (1606.03657), eq. 5 and section 6. A deviation that does not change allows log((high - low) / (std √(2π))) per code
    at most, which for a wide one is below 0; only a deviation that may shrink lets it grow without end."""
    entropy = codes.shape[1] * math.log(high - low)
    return entropy + gaussian_log_prob(codes, mean, std).sum(-1).mean()


def uniform_r2(mean: Float[Tensor, "B C"], codes: Float[Tensor, "B C"], low: float, high: float) -> Scalar:
    """Share of the variance, (high - low)² / 12, of codes uniform between `low` and `high` that the guess `mean`
    explains: 1 for a perfect guess, 0 for one that is always their middle, below 0 for a worse one. Wright 1921,
    Correlation and causation, for the share; of the codes of Chen et al. 2016 (InfoGAN, 1606.03657), section 7.2."""
    return 1 - 12 * (codes - mean).square().mean() / (high - low) ** 2
