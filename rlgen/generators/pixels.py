"""Distributions of an image given what a decoder says of it, all in nats per image."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.equations.likelihoods import bernoulli_log_prob, categorical_log_prob

LEVELS = 256


class Pixels(NamedTuple):
    """One choice of distribution."""

    outputs: int
    """Numbers that a decoder gives for each number of an image."""
    observed: Callable[[Tensor], Tensor]
    """Images [B, D] in [0, 1] to what is modelled."""
    log_prob: Callable[[Tensor, Tensor], Tensor]
    """(observed [B, D], decoded [S, B, D · outputs]) to nats [S, B]."""
    mean: Callable[[Tensor], Tensor]
    """Decoded [..., D · outputs] to the expected image [..., D] in [0, 1]."""


def _same(images: Tensor) -> Tensor:
    return images


def _gaussian(observed: Tensor, decoded: Tensor) -> Tensor:
    """Mean sigmoid(decoded), deviation learned too. Kingma & Welling 2014 (1312.6114), appendix C.2."""
    mean, log_std = decoded.chunk(2, -1)
    return gaussian_log_prob(observed, mean.sigmoid(), log_std.clamp(LEAST_LOG_STD, 0).exp()).sum(-1)


def _levels(decoded: Tensor) -> Tensor:
    """[..., D · 256] to logits [..., D, 256]."""
    return decoded.unflatten(-1, (-1, LEVELS))


def _expected_level(decoded: Tensor) -> Tensor:
    level = torch.arange(LEVELS, device=decoded.device, dtype=decoded.dtype)
    return (_levels(decoded).softmax(-1) @ level) / (LEVELS - 1)


LEAST_LOG_STD = math.log(1 / LEVELS)
"""A density of 8-bit pixels has no bound; their grid's own width is the least deviation that means something."""

PIXELS: dict[str, Pixels] = {
    "bernoulli": Pixels(1, _same, bernoulli_log_prob, torch.sigmoid),
    "gaussian": Pixels(2, _same, _gaussian, lambda decoded: decoded.chunk(2, -1)[0].sigmoid()),
    "categorical": Pixels(
        LEVELS,
        lambda images: (images * (LEVELS - 1)).round().long(),
        lambda observed, decoded: categorical_log_prob(observed, _levels(decoded)),
        _expected_level,
    ),
}
