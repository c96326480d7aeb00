"""A discriminator that is two densities: a normalizing flow of the expert's rows and one of the policy's."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.equations.coupled_flows import coupled_log_ratio
from rlgen.nn.autoregressive import MaskedAutoregressiveFlow

STEPS = 2
"""Autoregressive steps of each flow, one in each order of the numbers of a row."""
SMOOTHING = 0.5
"""Standard deviation of the noise that is added to rows while the flows are trained, in units of the rows."""


class CoupledFlowsDiscriminator(nn.Module):
    """Maps rows [B, D] to expert logits [B, 1]: the log-ratio of two flows' densities (CFIL, Freund et al. 2023,
    2305.00303).

    While it is trained, noise smooths the rows, without which the density of few rows has no limit. In evaluation mode
    the rows are as they are.

    Differs from the paper: trained by the loss of the divergence instead of the Donsker-Varadhan bound. With a logistic
    loss the best discriminator is the same log-ratio, whose constant this bound leaves open.
    """

    def __init__(self, size: int, hidden: Sequence[int], activation: type[nn.Module] = nn.Tanh):
        super().__init__()
        self.expert = MaskedAutoregressiveFlow(size, hidden, STEPS, activation)
        self.policy = MaskedAutoregressiveFlow(size, hidden, STEPS, activation)

    def forward(self, rows: Float[Tensor, "B D"]) -> Float[Tensor, "B 1"]:
        if self.training:
            rows = rows + SMOOTHING * torch.randn_like(rows)
        return coupled_log_ratio(self.expert.log_prob(rows), self.policy.log_prob(rows))[:, None]
