"""How much a model uses its latent variables: activity of units, and information about the data.

Shapes: N rows of data, Z latent.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rlgen.equations.gaussians import gaussian_log_prob

ACTIVE = 0.01
"""Variance of the posterior mean above which a unit is active."""
PIECE = 64
"""Draws whose densities under all posteriors are computed at a time."""
PerLatent = Float[Tensor, "N Z"]


def activity(mean: PerLatent) -> Float[Tensor, " Z"]:
    """Variance over the data of each latent unit's posterior mean. Burda et al. 2016 (1509.00519), section 5.2."""
    return mean.var(0, correction=0)


def active_units(mean: PerLatent, threshold: float = ACTIVE) -> Int[Tensor, ""]:
    """Number of units whose activity is above the threshold. Burda et al. 2016 (1509.00519), section 5.2.

    >>> active_units(torch.tensor([[1.0, 0.3], [-1.0, 0.3]]))
    tensor(1)
    """
    return (activity(mean) > threshold).sum()


def aggregate_mutual_information(z: PerLatent, mean: PerLatent, std: PerLatent) -> Float[Tensor, ""]:
    """Mean over n of log q(z_n|x_n) - log (1/N Σ_m q(z_n|x_m)), nats: an estimate of the mutual information of row and
    latent under the aggregate of N diagonal Gaussian posteriors. Hoffman & Johnson 2016, ELBO surgery; as an
    estimate from draws He et al. 2019 (1901.05534), section 4.

    `z`: one draw of each posterior. The information is at most log N, so compare numbers of the same N alone."""
    own = gaussian_log_prob(z, mean, std).sum(-1)
    every = [gaussian_log_prob(some[:, None], mean, std).sum(-1).logsumexp(1) for some in z.split(PIECE)]
    return (own - torch.cat(every)).mean() + math.log(len(z))
