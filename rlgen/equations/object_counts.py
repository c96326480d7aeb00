"""A number of objects as a chain of binary choices, "one more" or "no more". Eslami et al. 2016 (AIR, 1603.08575),
section 2.1.

Shapes: T largest number of objects, B batch.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

Logits = Float[Tensor, "*#batch"]


def kl_bernoulli(logit: Logits, prior_logit: Logits) -> Logits:
    """KL[Bernoulli(σ(logit)) ‖ Bernoulli(σ(prior_logit))], nats; the shapes broadcast. Kullback & Leibler 1951.

    >>> kl_bernoulli(torch.tensor([0.0, 60.0]), torch.zeros(2))  # nothing, and log 2
    tensor([0.0000, 0.6931])
    """
    return logit.sigmoid() * (logit - prior_logit) - F.softplus(logit) + F.softplus(prior_logit)


def one_more(counts: Int[Tensor, " B"], most: int) -> Float[Tensor, "T B"]:
    """The choices that give `counts`, at most `most`: as many ones, then zeros. Eslami et al. 2016 (1603.08575),
    section 2.2.

    >>> one_more(torch.tensor([0, 2]), most=3)
    tensor([[0., 1.],
            [0., 1.],
            [0., 0.]])
    """
    return (torch.arange(most, device=counts.device).unsqueeze(-1) < counts).float()


def log_odds(prob: float) -> float:
    """log (p / (1 - p)) of 0 < p < 1. Choices of "one more" with these log-odds give a number of objects that is
    geometric up to the largest. Eslami et al. 2016 (1603.08575), section 2.1.

    >>> log_odds(0.5)
    0.0
    """
    return math.log(prob) - math.log1p(-prob)
