"""Action noise that is correlated in time, with a normal distribution of variance 1 at every step.

A policy N(μ_θ(s), σ²) that acts by a_t = μ_θ(s_t) + σ z_t explores a body with inertia farther if the z_t of successive
steps agree: independent ones average out within a few steps of 0.01 s.

The likelihood of an action then depends on the step before. For an autoregressive z_t = ρ z_{t-1} + √(1-ρ²) ξ_t,

    a_t | s_t, s_{t-1}, a_{t-1}  ~  N(μ_θ(s_t) + ρ (a_{t-1} - μ_θ(s_{t-1})),  σ² (1-ρ²)),

whose product over an episode is its likelihood: the score function of these *conditional* densities is an unbiased
policy gradient (Korenkevych et al. 2019, 1903.11524). The *marginal* densities N(μ_θ(s_t), σ²) count a deviation that
lasts once per step, as if it had been drawn each time. Their gradient is biased: along a shift of all actions of a
return that is linear in them it is too large by (1+ρ)/(1-ρ), along quick changes too small. Eberhard et al. 2023
(2312.11091) train PPO with them. Tests compare both with the derivative of the expected return.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

Noise = Float[Tensor, "*batch A"]
Numbers = Float[Tensor, "..."]


def correlation_of(seconds: float, step_s: float) -> float:
    """ρ = exp(-step/τ): correlation of successive steps of `step_s` for a correlation time τ of `seconds`; 0 for 0.
    Uhlenbeck & Ornstein 1930."""
    return math.exp(-step_s / seconds) if seconds > 0 else 0.0


def autoregressive(previous: Noise, fresh: Noise, correlation: float) -> Noise:
    """ρ z + √(1-ρ²) ξ: the next noise, again of variance 1. Uhlenbeck & Ornstein 1930; as action noise Korenkevych et
    al. 2019 (1903.11524), eq. 3 of order 1."""
    return correlation * previous + math.sqrt(1 - correlation**2) * fresh


def innovation(now: Numbers, before: Numbers, correlation: Numbers) -> Numbers:
    """(x - ρ x') / √(1-ρ²), [..., A]: what is new in x after x', where both follow the noise. `correlation` [..., 1] is
    ρ, and 0 where there is no step before.

    The conditional density above is N(innovation of actions; innovation of means, σ²), up to the constant ½ A log(1-ρ²)
    that the ratio of two policies cancels. Korenkevych et al. 2019 (1903.11524), section 4.
    """
    return (now - correlation * before) / (1 - correlation.square()).sqrt()


def coloured_noise(exponent: float, length: int, fresh: Float[Tensor, "*batch F"]) -> Float[Tensor, "*batch T"]:
    """Gaussian sequences of `length` steps whose power spectrum is proportional to 1/f^exponent, of variance 1 at every
    step: 0 is white, 1 pink, 2 red. Timmer & König 1995, section 3.

    `fresh` are standard normal numbers, twice as many as there are frequencies (`length` // 2 + 1). Frequencies below
    1/length have the power of that one, so that the variance is finite.
    """
    frequencies = torch.fft.rfftfreq(length, device=fresh.device).clamp(min=1 / length)
    amplitude = frequencies ** (-exponent / 2)
    real, imaginary = fresh.unflatten(-1, (2, -1)).unbind(-2)
    ends = torch.zeros_like(frequencies, dtype=torch.bool)
    ends[0] = True
    if length % 2 == 0:
        ends[-1] = True
    real, imaginary = torch.where(ends, real * 2**0.5, real), torch.where(ends, 0.0, imaginary)
    power = torch.where(ends, 2.0, 4.0) * amplitude.square()  # of each frequency and its negative one
    return torch.fft.irfft(torch.complex(real, imaginary) * amplitude, length) * length / power.sum().sqrt()
