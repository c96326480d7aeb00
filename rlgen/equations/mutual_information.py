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
    (1606.03657), eq. 5 and section 6. Unlike that of categories it has no greatest value."""
    entropy = codes.shape[1] * math.log(high - low)
    return entropy + gaussian_log_prob(codes, mean, std).sum(-1).mean()
