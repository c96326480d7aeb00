"""Variational lower bounds: on the log-evidence, also in bits per dimension, and on mutual information.

The bounds on the mutual information between latent codes and generated samples: I(c; x) ≥ E[log Q(c | x)] + H(c), nats,
for any approximate posterior Q of the code given x; the better Q is, the tighter the bound. Barber & Agakov 2003; as an
objective of both generator and Q: InfoGAN, Chen et al. 2016 (1606.03657), eq. 5.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.errors import problem

PerRow = Float[Tensor, " B"]


def elbo(
    log_likelihood: Float[Tensor, "S B"], kl: PerRow | Float[Tensor, "S B"] | Float[Tensor, ""], beta: float = 1.0
) -> PerRow:
    """E[log p(x|z)] - beta KL[q(z|x) ‖ p(z)], the mean over samples of z. Kingma & Welling 2014 (1312.6114), eq. 2 and
    3; with beta Higgins et al. 2017, beta-VAE, eq. 4.

    `kl`: the closed form [B]; or log q(z|x) - log p(z) of each sample [S, B]; or a scalar where all rows share the
    latent variables, as for Bayesian weights. Both terms are sums over the dimensions of an event, not means. The
    result is a lower bound only for beta ≥ 1.
    """
    return log_likelihood.mean(0) - beta * (kl.mean(0) if kl.ndim == 2 else kl)


def free_bits(kl: Float[Tensor, "B G"], level: float) -> Float[Tensor, " G"]:
    """max(level, mean of KL over rows) for each group; it replaces the KL in the loss. Kingma et al. 2016 (1606.04934),
    appendix C.8.

    The mean over the batch comes before the maximum. A group below the level contributes the level and has no gradient.
    Log the KL itself, not this value.

    >>> free_bits(torch.tensor([[0.0, 2.0], [0.2, 4.0]]), level=0.5)
    tensor([0.5000, 3.0000])
    """
    return kl.mean(0).clamp(min=level)


def importance_weighted_bound(log_weight: Float[Tensor, "K B"]) -> PerRow:
    """log (1/K Σ w), log w = log p(x, z) - log q(z|x) for K samples z from q. Burda et al. 2016 (1509.00519), eq. 8.

    K = 1 is the ELBO; with larger K the bound increases in expectation towards log p(x). For reparametrized z its
    gradient is that of eq. 13: the samples' gradients weighted by their normalized importance weights w / Σ w.
    """
    return torch.logsumexp(log_weight, 0) - math.log(len(log_weight))


def bits_per_dimension(
    log_prob: Float[Tensor, "*batch"], dimensions: int, log_determinant: Float[Tensor, "*batch"] | float = 0.0
) -> Float[Tensor, "*batch"]:
    """-(log_prob + log_determinant) / (dimensions log 2): the code length of one dimension, in bits. Theis et al. 2016
    (1511.01844), section 3.1.

    `log_prob`: log-probability of the model's input, nats. `log_determinant`: log |d input / d level| of the transforms
    from levels to the model's input. It is 0 for a model of the levels themselves, otherwise the sum of what
    `dequantize` and `logit_transform` return.
    """
    return -(log_prob + log_determinant) / (dimensions * math.log(2))


def dequantize(
    level: Float[Tensor, "B ..."], noise: Float[Tensor, "B ..."], levels: int = 256
) -> tuple[Float[Tensor, "B ..."], Float[Tensor, " B"]]:
    """(level + noise) / levels in [0, 1], and the log-determinant of its Jacobian per row, -log(levels) for each
    dimension. Theis et al. 2016 (1511.01844), section 3.1.

    `level`: 0 to levels - 1. `noise`: uniform in [0, 1). The mean of the model's log-density over the noise is a lower
    bound on the log-probability of the levels.
    """
    log_determinant = level.new_full((len(level),), -math.log(levels) * level[0].numel())
    return (level + noise) / levels, log_determinant


def logit_transform(
    x: Float[Tensor, "B ..."], margin: float = 0.05
) -> tuple[Float[Tensor, "B ..."], Float[Tensor, " B"]]:
    """logit(margin + (1 - 2 margin) x) for x in [0, 1], and the log-determinant of its Jacobian per row. Dinh et al.
    2017 (Real NVP, 1605.08803), section 4.1.

    Differs from the paper: the margin is on both sides, because x = 1 must stay finite too. Raises `InputError` for a
    margin outside (0, 0.5).
    """
    if not 0 < margin < 0.5:
        raise problem("a margin between 0 and 0.5", f"{margin}", "use e.g. 0.05, or 1e-6 for binary images")
    inside, outside = margin + (1 - 2 * margin) * x, margin + (1 - 2 * margin) * (1 - x)
    log_slope = math.log(1 - 2 * margin) - inside.log() - outside.log()
    return inside.log() - outside.log(), log_slope.flatten(1).sum(1)


def inverse_logit_transform(y: Float[Tensor, "B ..."], margin: float = 0.05) -> Float[Tensor, "B ..."]:
    """The x of which y is the `logit_transform`, (sigmoid(y) - margin) / (1 - 2 margin). Dinh et al. 2017 (Real NVP,
    1605.08803), section 4.1. A y beyond those of [0, 1] gives an x outside by less than margin / (1 - 2 margin)."""
    return (y.sigmoid() - margin) / (1 - 2 * margin)


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
