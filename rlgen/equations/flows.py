"""Coupling layers of normalizing flows with their log-determinants, and the logistic prior, nats.

`mask` is True for the components of an event that do not change. It broadcasts to the event, with as many dimensions,
which are the last ones of `x`.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

Events = Float[Tensor, "..."]
Mask = Bool[Tensor, "..."]
LogDet = Float[Tensor, "*batch"]


def additive_coupling(x: Events, shift: Events, mask: Mask) -> Events:
    """x + t where the mask is False, x elsewhere. If t depends on the unchanged components alone, the log-determinant
    is 0. Dinh et al. 2015 (NICE, 1410.8516), section 3.2.

    The inverse is the coupling with -t.
    """
    return x + torch.where(mask, 0.0, shift)


def affine_coupling(x: Events, shift: Events, log_scale: Events, mask: Mask) -> tuple[Events, LogDet]:
    """x exp(s) + t where the mask is False, x elsewhere, and the log-determinant, the sum of those s. Dinh et al. 2017
    (Real NVP, 1605.08803), eq. 6 and 9; s and t depend on the unchanged components alone."""
    log_scale = torch.where(mask, 0.0, log_scale)
    return x * log_scale.exp() + torch.where(mask, 0.0, shift), _sum(log_scale, mask)


def inverse_affine_coupling(moved: Events, shift: Events, log_scale: Events, mask: Mask) -> tuple[Events, LogDet]:
    """The x of which `moved` is the `affine_coupling`, and the log-determinant of the coupling there, not of its
    inverse. Dinh et al. 2017 (Real NVP, 1605.08803), eq. 8."""
    log_scale = torch.where(mask, 0.0, log_scale)
    return (moved - torch.where(mask, 0.0, shift)) * (-log_scale).exp(), _sum(log_scale, mask)


def logistic_log_prob(z: Events) -> Events:
    """log σ(z) + log σ(-z), elementwise: the density of the standard logistic distribution, whose variance is π²/3.
    Dinh et al. 2015 (NICE, 1410.8516), section 3.4.

    >>> logistic_log_prob(torch.zeros(1))  # -log 4
    tensor([-1.3863])
    """
    return F.logsigmoid(z) + F.logsigmoid(-z)


def _sum(log_scale: Tensor, mask: Tensor) -> Tensor:
    return log_scale.flatten(-mask.ndim).sum(-1)
