"""Lower bounds on the mutual information between latent codes and generated samples, nats.

I(c; x) ≥ E[log Q(c | x)] + H(c) for any approximate posterior Q of the code given x; the better Q is, the tighter the
bound. Barber & Agakov 2003; as an objective of both generator and Q: InfoGAN, Chen et al. 2016 (1606.03657), eq. 5.
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
    """The bound for codes drawn from the probabilities `prior` (None: uniform over K), with Q = softmax(logits). At
    most H(c), which is log K for a uniform prior. Chen et al. 2016 (1606.03657), eq. 5."""
    entropy = math.log(logits.shape[1]) if prior is None else torch.special.entr(prior).sum()
    return entropy - F.cross_entropy(logits, codes)


def uniform_information(
    mean: Float[Tensor, "B C"], std: Float[Tensor, "B C"], codes: Float[Tensor, "B C"], low: float, high: float
) -> Scalar:
    """The bound for C codes, each uniform between `low` and `high`, with Q = N(mean, std²). Chen et al. 2016
    (1606.03657), eq. 5 and section 6. With a fixed standard deviation it is at most log((high - low) / (std √(2π))) per
    code, which is negative for a large one; with a learned standard deviation it is unbounded."""
    entropy = codes.shape[1] * math.log(high - low)
    return entropy + gaussian_log_prob(codes, mean, std).sum(-1).mean()


def uniform_r2(mean: Float[Tensor, "B C"], codes: Float[Tensor, "B C"], low: float, high: float) -> Scalar:
    """R² of the prediction `mean` for codes uniform between `low` and `high`, whose variance is (high - low)² / 12: 1
    for a perfect prediction, 0 for a constant one at the midpoint, negative for a worse one. Wright 1921, Correlation
    and causation, for R²; the codes are those of Chen et al. 2016 (InfoGAN, 1606.03657), section 7.2."""
    return 1 - 12 * (codes - mean).square().mean() / (high - low) ** 2
