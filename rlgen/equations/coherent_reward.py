"""Coherent soft imitation learning: a reward under which a cloned policy is already optimal."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.equations.policy_gradient import kl_estimate

Numbers = Float[Tensor, "..."]
Rows = Float[Tensor, " B"]
Scalar = Float[Tensor, ""]
LOWEST_LOG_RATIO = -5.0
"""Log-ratio, nats, below which `refinement_loss` counts exp(-log-ratio) as at this one: single actions go as low as
-50 and would decide alone."""


def coherent_reward(log_prob: Rows, prior_log_prob: Rows, alpha: float) -> Rows:
    """α (log π(a|s) - log p(a)), nats per step: the reward whose maximum-entropy policy with the prior p and the
    temperature α is the cloned policy π itself, by inversion of its soft policy improvement. Watson et al. 2023 (CSIL,
    2305.16498), eq. 9."""
    return alpha * (log_prob - prior_log_prob)


def refinement_loss(expert_log_ratio: Float[Tensor, " E"], policy_log_ratio: Float[Tensor, " P"]) -> Scalar:
    """-E_expert[h] + KL, nats, h = log π(a|s) - log p(a): keeps the reward high where the expert was, and low where the
    learner is, by Schulman's estimate E_policy[e^(-h) - 1 + h] of the divergence. Watson et al. 2023 (2305.16498), eq.
    12 and appendix on the implementation.

    Differs from the paper: written for h instead of the reward α h, because the estimate is one of h.
    """
    # e^(-h) counts from the lowest log-ratio on, h itself entirely, as in the released code.
    safe = policy_log_ratio.clamp(min=LOWEST_LOG_RATIO)
    return -expert_log_ratio.mean() + kl_estimate(-safe) + (policy_log_ratio - safe).mean()


def action_gradient_norm(gradient: Float[Tensor, "B A"]) -> Scalar:
    """√E[|∂Q/∂a|²]: a penalty at demonstrated rows that makes them stationary points of a critic, because an optimal
    action has no better ones near it. Watson et al. 2023 (2305.16498), section 4.2."""
    return gradient.square().sum(-1).mean().sqrt()


def triangle_wave(x: Numbers) -> Numbers:
    """A triangle wave of period 2π with the slope π / (2 √2) at 0 and a mean square of about 1: as an activation after
    random weights, it makes features whose inner products depend on differences of inputs alone. Meronen et al. 2021
    (2110.13572), section 3.1."""
    period = torch.floor(x / math.pi + 0.5)
    sign = 1 - 2 * torch.remainder(period, 2)
    return math.pi / (2 * math.sqrt(2)) * (x - math.pi * period) * sign
