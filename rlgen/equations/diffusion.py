"""Denoising diffusion: noise that is added to data step by step, what a model that predicts it says about the data, and
the way back from noise to data.

Steps count from 1 to T; step 0 is the data. Rows [B, ...], vectors or images, have unit variance or so. ᾱ_t is the
share of their variance that is still signal after t steps.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

Rows = Float[Tensor, "B *event"]
Column = Float[Tensor, " B"]
Shares = Float[Tensor, " T"]
LEAST_RATE, MOST_RATE = 0.1, 20.0
"""β_min and β_max of Song et al. 2021 (2011.13456), appendix C."""
LEAST_ERROR = 1e-6
"""Lower limit of a denoising error, so that its log-odds are finite."""


COSINE_OFFSET = 0.008
"""s of Nichol & Dhariwal 2021 (2102.09672), section 3.2."""
MOST_NOISE = 0.999
"""Upper limit of a step's β, of the same."""


def signal_shares(steps: int) -> Shares:
    """ᾱ_t, t = 1 … T: share of a row's variance that is still signal after t steps, exp(-s² (β_max - β_min) / 2 - s
    β_min) at s = t / T. Song et al. 2021 (2011.13456), eq. 33, of which the noise of Ho et al. 2020 (2006.11239) is the
    discrete form; it ends in noise whatever T is."""
    time = torch.arange(1, steps + 1) / steps
    return torch.exp(-time.square() * (MOST_RATE - LEAST_RATE) / 2 - time * LEAST_RATE)


def linear_signal_shares(steps: int) -> Shares:
    """ᾱ_t = Π (1 - β_s) with β rising linearly from 0.0001 to 0.02 over 1,000 steps; with T steps both are 1,000 / T
    times as large, so that it ends in as much noise. Ho et al. 2020 (DDPM, 2006.11239), section 4."""
    scale = 1000 / steps
    betas = torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64)
    return (1 - betas.clamp(max=MOST_NOISE)).cumprod(0).float()


def cosine_signal_shares(steps: int) -> Shares:
    """ᾱ_t = f(t) / f(0), f(t) = cos²((t / T + s) / (1 + s) · π / 2), with no β above 0.999. Nichol & Dhariwal 2021
    (2102.09672), eq. 17."""
    time = torch.arange(steps + 1, dtype=torch.float64) / steps
    curve = torch.cos((time + COSINE_OFFSET) / (1 + COSINE_OFFSET) * math.pi / 2).square()
    betas = (1 - curve[1:] / curve[:-1]).clamp(max=MOST_NOISE)
    return (1 - betas).cumprod(0).float()


def noisy(rows: Rows, noise: Rows, signal_share: Column) -> Rows:
    """√ᾱ x + √(1 - ᾱ) ε. Ho et al. 2020 (DDPM, 2006.11239), eq. 4."""
    share = _broadcast(signal_share, rows)
    return share.sqrt() * rows + (1 - share).sqrt() * noise


def denoised(noisy_rows: Rows, noise: Rows, signal_share: Column) -> Rows:
    """x = (x_t - √(1 - ᾱ) ε) / √ᾱ, the data if `noise` is what was added to it. Ho et al. 2020 (DDPM, 2006.11239), eq.
    4 solved for x_0."""
    share = _broadcast(signal_share, noisy_rows)
    return (noisy_rows - (1 - share).sqrt() * noise) / share.sqrt()


def added_noise(noisy_rows: Rows, data: Rows, signal_share: Column) -> Rows:
    """ε = (x_t - √ᾱ x) / √(1 - ᾱ), the noise that leads from the `data` to `noisy_rows`. Ho et al. 2020 (DDPM,
    2006.11239), eq. 4 solved for ε."""
    share = _broadcast(signal_share, noisy_rows)
    return (noisy_rows - share.sqrt() * data) / (1 - share).sqrt()


def implicit_step(data: Rows, noise: Rows, fresh: Rows, share_to: Column, share_from: Column, eta: float = 0.0) -> Rows:
    """x_s for s < t, given what the model makes of x_t, the `data` x̂_0 and the `noise` ε̂: √ᾱ_s x̂_0 + √(1 - ᾱ_s - σ²)
    ε̂ + σ · fresh with σ = η √((1 - ᾱ_s) / (1 - ᾱ_t)) √(1 - ᾱ_t / ᾱ_s). Song et al. 2021 (DDIM, 2010.02502), eq. 12 and
    16.

    η = 0 has no `fresh` noise (DDIM). η = 1 and s = t - 1 is the ancestral step of DDPM with the variance β̃ (Ho et al.
    2020, eq. 6 and 7).
    """
    to, origin = _broadcast(share_to, data), _broadcast(share_from, data)
    std = eta * ((1 - to) / (1 - origin) * (1 - origin / to)).sqrt()
    return to.sqrt() * data + (1 - to - std.square()).clamp(min=0).sqrt() * noise + std * fresh


def step_divergence(data: Rows, guess: Rows, share_to: Column, share_from: Column) -> Column:
    """KL[q(x_{t-1} | x_t, x_0) ‖ p(x_{t-1} | x_t)] in nats, of two Gaussians with the variance β̃ whose means are those
    of the data x_0 and of the model's guess x̂_0: ½ (SNR_{t-1} - SNR_t) |x_0 - x̂_0|², SNR = ᾱ / (1 - ᾱ). Ho et al. 2020
    (DDPM, 2006.11239), eq. 5 and 8; in this form Kingma et al. 2021 (2107.00630), eq. 13. For t ≥ 2."""
    difference = share_to / (1 - share_to) - share_from / (1 - share_from)
    return difference / 2 * (data - guess).flatten(1).square().sum(1)


def end_divergence(data: Rows, share: Float[Tensor, ""]) -> Column:
    """KL[q(x_T | x_0) ‖ N(0, 1)] in nats: what is left of the data in the last step. Ho et al. 2020 (DDPM, 2006.11239),
    eq. 5."""
    flat = data.flatten(1)
    return (share * flat.square() - share - torch.log1p(-share)).sum(1) / 2


def _broadcast(values: Column, rows: Rows) -> Tensor:
    """Values [B] with as many dimensions as the rows."""
    return values.view(-1, *[1] * (rows.ndim - 1))


def denoising_error(noise: Rows, predicted: Rows) -> Column:
    """Mean over the numbers of a row of (ε - ε̂)², the terms of the simple loss of Ho et al. 2020 (DDPM, 2006.11239),
    eq. 14."""
    return (noise - predicted).square().flatten(1).mean(1)


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
