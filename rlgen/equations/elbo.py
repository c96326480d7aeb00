"""Lower bounds on the log-likelihood of a latent-variable model, nats per row.

Shapes: S or K samples of the posterior, B batch, G groups of latent variables.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

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

    K = 1 is the ELBO; with larger K the bound increases in expectation towards log p(x). For reparametrised z its
    gradient is that of eq. 13: the samples' gradients weighted by their normalised importance weights w / Σ w.
    """
    return torch.logsumexp(log_weight, 0) - math.log(len(log_weight))
