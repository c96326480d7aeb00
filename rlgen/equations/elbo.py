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

    `kl`: in closed form [B], or of each sample as log q(z|x) - log p(z) [S, B], or one for all rows where they share
    their latent variables, as weights are. Both terms are sums over an event, never means over it: a bound only as long
    as beta is 1 or more.
    """
    return log_likelihood.mean(0) - beta * (kl.mean(0) if kl.ndim == 2 else kl)


def free_bits(kl: Float[Tensor, "B G"], level: float) -> Float[Tensor, " G"]:
    """max(level, mean over rows of KL) of each group, which stands in the loss in place of the KL. Kingma et al. 2016
    (1606.04934), appendix C.8.

    The mean over the batch comes first, then the maximum. A group below the level still counts with it, and has no
    gradient. For the log the KL itself is the one to show.
    """
    return kl.mean(0).clamp(min=level)


def importance_weighted_bound(log_weight: Float[Tensor, "K B"]) -> PerRow:
    """log (1/K Σ w), log w = log p(x, z) - log q(z|x) of K samples z from q. Burda et al. 2016 (1509.00519), eq. 8.

    With K = 1 it is the ELBO, with more it rises on average towards log p(x). For reparametrised z its gradient is that
    of eq. 13, the samples' gradients weighted by their shares of Σ w.
    """
    return torch.logsumexp(log_weight, 0) - math.log(len(log_weight))
