"""Two densities, of the expert's rows and of the policy's, as one discriminator."""

import torch
from jaxtyping import Float
from torch import Tensor

LogProb = Float[Tensor, "*batch"]
LARGEST_LOG_RATIO = 15.0
"""Limit of a log-ratio, nats."""


def coupled_log_ratio(expert_log_prob: LogProb, policy_log_prob: LogProb) -> LogProb:
    """c tanh((log p_expert - log p_policy) / c), nats, c = `LARGEST_LOG_RATIO`: the logit of two densities that are
    trained as one discriminator. Freund et al. 2023 (CFIL, 2305.00303).

    Differs from the paper: its slope at 0 is one, so that it is the log-ratio where the densities are close."""
    return LARGEST_LOG_RATIO * torch.tanh((expert_log_prob - policy_log_prob) / LARGEST_LOG_RATIO)
