"""Coherent soft imitation learning: a reward under which a cloned policy is already optimal."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.equations.policy_gradient import kl_estimate

Numbers = Float[Tensor, "..."]
Rows = Float[Tensor, " B"]
Scalar = Float[Tensor, ""]
LOWEST_REWARD = -5.0
"""Reward, nats, below which `refinement_loss` has no gradient: single actions go as low as -50 and would decide
alone."""


def coherent_reward(log_prob: Rows, prior_log_prob: Rows, alpha: float) -> Rows:
    """α (log π(a|s) - log p(a)), nats per step: the reward whose maximum-entropy policy with the prior p and the
    temperature α is the cloned policy π itself, by inversion of its soft policy improvement. Watson et al. 2023 (CSIL,
    2305.16498), eq. 9."""
    return alpha * (log_prob - prior_log_prob)


def refinement_loss(expert_reward: Float[Tensor, " E"], policy_reward: Float[Tensor, " P"]) -> Scalar:
    """-E_expert[r] + E_policy[e^(-r) - 1 + r], nats: keeps the reward high where the expert was, and near 0 where the
    learner is, by Schulman's estimate of the divergence of a policy with the log-ratio r from its prior. Watson et al.
    2023 (2305.16498), eq. 12 and appendix on the implementation.

    Differs from the released code: both terms of the estimate end at `LOWEST_REWARD`, not e^(-r) alone, because r alone
    has no minimum.
    """
    return -expert_reward.mean() + kl_estimate(-policy_reward.clamp(min=LOWEST_REWARD))


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
