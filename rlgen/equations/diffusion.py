"""Denoising diffusion: noise that is added to data step by step, and what a model that predicts it says about the data.

Steps count from 1 to T. Rows [B, D] have unit variance or so.
"""

import torch
from jaxtyping import Float
from torch import Tensor

Rows = Float[Tensor, "B D"]
Column = Float[Tensor, " B"]
LEAST_RATE, MOST_RATE = 0.1, 20.0
"""β_min and β_max of Song et al. 2021 (2011.13456), appendix C."""
LEAST_ERROR = 1e-6
"""Lower limit of a denoising error, so that its log-odds are finite."""


def signal_shares(steps: int) -> Float[Tensor, " T"]:
    """ᾱ_t, t = 1 … T: share of a row's variance that is still signal after t steps, exp(-s² (β_max - β_min) / 2 - s
    β_min) at s = t / T. Song et al. 2021 (2011.13456), eq. 33, of which the noise of Ho et al. 2020 (2006.11239) is the
    discrete form; it ends in noise whatever T is."""
    time = torch.arange(1, steps + 1) / steps
    return torch.exp(-time.square() * (MOST_RATE - LEAST_RATE) / 2 - time * LEAST_RATE)


def noisy(rows: Rows, noise: Rows, signal_share: Column) -> Rows:
    """√ᾱ x + √(1 - ᾱ) ε. Ho et al. 2020 (DDPM, 2006.11239), eq. 4."""
    share = signal_share[:, None]
    return share.sqrt() * rows + (1 - share).sqrt() * noise


def denoising_error(noise: Rows, predicted: Rows) -> Column:
    """Mean over the numbers of a row of (ε - ε̂)², the terms of the simple loss of Ho et al. 2020 (DDPM, 2006.11239),
    eq. 14."""
    return (noise - predicted).square().mean(-1)


def denoising_logit(error: Column) -> Column:
    """log D - log(1 - D) of D = exp(-error): rows that a denoiser knows are the expert's. Wang et al. 2024 (DiffAIL,
    2312.06348)."""
    error = error.clamp(min=LEAST_ERROR)
    return -error - torch.log(-torch.expm1(-error))


def conditional_denoising_logit(expert_error: Column, policy_error: Column, scale: Float[Tensor, ""]) -> Column:
    """scale · (error under the condition *policy* - error under the condition *expert*): the logit of one denoiser that
    is asked twice. Lai et al. 2024 (DRAIL, 2405.16194).

    Differs from the paper: with a scale, because a mean over many numbers differs by little."""
    return scale * (policy_error - expert_error)
