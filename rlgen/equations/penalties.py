"""Penalties that keep a discriminator smooth or uncertain, or a generator near its data: scalars, added to a loss or
in its place.

Inputs are rows [B, D] or images [B, C, H, W].
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Inputs = Float[Tensor, "B D *event"]
Scalar = Float[Tensor, ""]
Critic = Callable[[Tensor], Tensor]
"""Maps [B, ...] to logits [B]. Rows must not influence each other (no batch norm)."""


def input_gradient(critic: Critic, inputs: Inputs) -> Inputs:
    """d logit_b / d input_b for every row b; the result is differentiable."""
    inputs = inputs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(inputs).sum(), inputs, create_graph=True)
    return gradient


def gradient_penalty(critic: Critic, real: Inputs, fake: Inputs, center: float = 1.0) -> Scalar:
    """E[(|d logit / d x| - center)^2] at random points between real (expert) and fake (policy) rows.

    center 1: Gulrajani et al. 2017 (1704.00028), eq. 3. center 0: Thanh-Tung et al. 2019 (1902.03984).
    """
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    gradient = input_gradient(critic, torch.lerp(fake, real, share)).flatten(1)
    if center == 0.0:
        return gradient.square().sum(-1).mean()
    return (gradient.norm(dim=-1) - center).square().mean()


def r1(critic: Critic, real: Inputs) -> Scalar:
    """½ E_real[|d logit / d x|^2]. Mescheder et al. 2018 (1801.04406), eq. 9."""
    return 0.5 * input_gradient(critic, real).flatten(1).square().sum(-1).mean()


def mixup_discriminator_loss(critic: Critic, real: Inputs, fake: Inputs) -> Scalar:
    """E[-λ log D(x) - (1 - λ) log(1 - D(x))], nats, x = λ real + (1 - λ) fake with λ uniform in [0, 1]: instead of the
    logistic loss, the labels of mixed rows are mixed as the rows are. Zhang et al. 2018 (1710.09412), eq. 1 and 2.

    The best of all critics has D(x) = E[λ | x], which is never sure between the real and the fake rows. The paper's
    Beta(α, α) has α = 1 here, as in the experiments of Kaixhin's imitation-learning (2023).
    """
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    logit = critic(torch.lerp(fake, real, share))
    return (F.softplus(logit) - share.flatten() * logit).mean()


def bernoulli_entropy(logit: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """H(D) in nats, D = sigmoid(logit): log 2 (uncertain) down to 0. openai/imitation, `logit_bernoulli_entropy`.

    >>> bernoulli_entropy(torch.tensor([0.0, 5.0]))
    tensor([0.6931, 0.0402])
    """
    return F.softplus(logit) - logit * torch.sigmoid(logit)


def feature_matching(real_features: Float[Tensor, " B *f"], fake_features: Float[Tensor, " B2 *f"]) -> Scalar:
    """|E_real[features] - E_fake[features]|², a generator loss on the features of one layer of the discriminator.
    Salimans et al. 2016 (1606.03498), section 3.1."""
    return (real_features.mean(0) - fake_features.mean(0)).square().sum()


def historical_average_distance(parameters: Float[Tensor, " P"], past_mean: Float[Tensor, " P"]) -> Scalar:
    """|θ - mean of past θ|². Salimans et al. 2016 (1606.03498), section 3.3."""
    return (parameters - past_mean).square().sum()


def dual_ascent(multiplier: Scalar, excess: Scalar, step_size: float) -> Scalar:
    """max(0, β + step size · excess): the multiplier β of a constraint excess ≤ 0, for example on the nats that pass a
    bottleneck. Peng et al. 2019 (VAIL, 1810.00821), section 4."""
    return (multiplier + step_size * excess).clamp(min=0)


def commitment(features: Float[Tensor, " B *f"], codes: Float[Tensor, " B *f"]) -> Scalar:
    """Mean of (features - codes)² over all elements, with a gradient for the features only: it keeps an encoder near
    the codes that it selected. van den Oord et al. 2017 (1711.00937), third term of eq. 3; Zhao et al. 2020 (FQ-GAN,
    2004.02088).

    Differs from the paper: the mean over the elements of a vector instead of their sum, because both papers' released
    code does so.
    """
    return F.mse_loss(features, codes.detach())


def squared_change(logit: Float[Tensor, " B"], old_logit: Float[Tensor, " B"]) -> Scalar:
    """E[(r - r_old)²], nats²: how far a reward has moved from an earlier one. Chen et al. 2025 (PIRO, 2509.23135)."""
    return (logit - old_logit).square().mean()


def multiplied_weight(weight: Scalar, change: Scalar, limit: float, factor: float) -> Scalar:
    """The weight of a proximal penalty after a step: multiplied by `factor` if the change exceeds the limit, else
    divided by it. Chen et al. 2025 (PIRO, 2509.23135), as Schulman et al. 2017 (1707.06347), section 4, for policies.
    """
    return torch.where(change > limit, weight * factor, weight / factor)
