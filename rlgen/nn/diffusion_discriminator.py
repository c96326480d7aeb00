"""Discriminators that are denoisers: a diffusion model of expert rows, whose errors tell expert rows from others."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.equations.diffusion import (
    conditional_denoising_logit,
    denoising_error,
    denoising_logit,
    noisy,
    signal_shares,
)
from rlgen.nn.layers import mlp

STEPS = 10
"""Steps of noise, as in DiffAIL."""
Rows = Float[Tensor, "B D"]
Logits = Float[Tensor, "B 1"]


class DiffusionDiscriminator(nn.Module):
    """Maps rows [B, D] to expert logits [B, 1] by the error of a denoiser (DiffAIL, Wang et al. 2024, 2312.06348).

    While it is trained, every row has a random step and noise. In evaluation mode all rows have the same noise, once at
    every step, so that a reward is a function of its row.
    """

    shares: Tensor
    fixed_noise: Tensor
    conditions = 0
    """Numbers that the denoiser reads in addition to a row and its step."""

    def __init__(self, size: int, hidden: Sequence[int], activation: type[nn.Module] = nn.Tanh):
        super().__init__()
        self.size = size
        self.denoiser = mlp([size + STEPS + self.conditions, *hidden, size], activation)
        self.register_buffer("shares", signal_shares(STEPS))
        self.register_buffer("fixed_noise", torch.randn(STEPS, size))

    def forward(self, rows: Rows) -> Logits:
        if self.training:
            steps = torch.randint(STEPS, (len(rows),), device=rows.device)
            return self.logit(rows, steps, torch.randn_like(rows))[:, None]
        count = torch.arange(STEPS, device=rows.device)
        steps, noise = count.repeat(len(rows)), self.fixed_noise.repeat(len(rows), 1)
        return self.logit(rows.repeat_interleave(STEPS, 0), steps, noise).view(len(rows), STEPS).mean(1, keepdim=True)

    def logit(self, rows: Rows, steps: Tensor, noise: Rows) -> Float[Tensor, " B"]:
        """Expert logits [B] of rows with the `noise` of the `steps` [B], counted from 0."""
        return denoising_logit(self.error(rows, steps, noise))

    def error(self, rows: Rows, steps: Tensor, noise: Rows, *condition: Tensor) -> Float[Tensor, " B"]:
        """Mean squared error [B] of the predicted noise, under a `condition` [B, C]."""
        step = torch.eye(STEPS, device=rows.device)[steps]  # F.one_hot would wait for the device
        seen = torch.cat([noisy(rows, noise, self.shares[steps]), step, *condition], 1)
        return denoising_error(noise, self.denoiser(seen))


class ConditionalDiffusionDiscriminator(DiffusionDiscriminator):
    """The same with a denoiser that has learned both sides: a row is the expert's if its error is smaller under the
    condition *expert* than under the condition *policy* (DRAIL, Lai et al. 2024, 2405.16194)."""

    conditions = 2

    def __init__(self, size: int, hidden: Sequence[int], activation: type[nn.Module] = nn.Tanh):
        super().__init__(size, hidden, activation)
        self.log_scale = nn.Parameter(torch.zeros(()))

    def logit(self, rows: Rows, steps: Tensor, noise: Rows) -> Float[Tensor, " B"]:
        expert, policy = (
            self.error(rows, steps, noise, side.expand(len(rows), 2)) for side in torch.eye(2, device=rows.device)
        )
        return conditional_denoising_logit(expert, policy, self.log_scale.exp())
