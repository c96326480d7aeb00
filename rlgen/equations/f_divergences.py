"""f-divergences D_f(p ‖ q) = E_q[f(p / q)], nats, as discriminator losses: f-GAN, Nowozin et al. 2016 (1606.00709).

For every function T, D_f ≥ E_p[T] - E_q[f*(T)] (eq. 4), f* the convex conjugate of f, with equality at T = f'(p / q)
(eq. 5). Each f has an activation, which maps any logit to a T in the domain of f* (eq. 7). Real or expert rows come
from p, generated or policy rows from q.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Numbers = Float[Tensor, "*batch"]
STEEPEST = 20.0
"""Exponent above which exponentials continue linearly along their tangent. Minibatches cannot estimate density ratios
above e^20. float32 holds e^88; gradients may reach only e^44, because Adam stores their squares. A clamp would also
avoid infinities, but its gradient is zero: a real row classified as generated with certainty would never be
corrected."""
LEAST_RATIO = 1e-6
"""Lower limit of estimated density ratios, so that their logarithms are finite."""


def limited(x: Numbers) -> Numbers:
    """x up to S = `STEEPEST`, and S + log(1 + x - S) above it: increasing and smooth, and its exponential has the slope
    e^S above S. Huber 1964, "Robust estimation of a location parameter", limits the square in the same way."""
    return x.clamp(max=STEEPEST) + torch.log1p(F.relu(x - STEEPEST))


def limited_below(x: Numbers) -> Numbers:
    """-limited(-x), for decreasing exponentials. As Huber 1964."""
    return -limited(-x)


def jeffreys_log_ratio(t: Numbers) -> Numbers:
    """Solution log u of f'(u) = 1 + log u - 1 / u = t, f that of Jeffreys: W(e^(1 - t)) + t - 1 with Lambert's W.

    Corless et al. 1996, "On the Lambert W function", for W. Newton's method solves for log u itself, so e^(1 - t) and W
    cannot overflow. The equation is concave and the start lies below the solution, so the iterates increase to it.
    Autograd differentiates through the iterations.
    """
    z = torch.maximum(torch.maximum(t / 2, t - 1), -torch.log1p(F.relu(-t)))
    for _ in range(6):
        inverse = torch.exp(-z)
        z = z - (1 + z - inverse - t) / (1 + inverse)
    return z


def pearson_conjugate(t: Numbers) -> Numbers:
    """sup over u ≥ 0 of u t - (u - 1)². Nowozin et al. 2016 (1606.00709), table 2.

    Differs from the paper: constant below t = -2, because a density ratio is never negative. The paper's t² / 4 + t
    increases again as t falls below -2 and would move a generator away from the data.
    """
    t = t.clamp(min=-2)
    return t.square() / 4 + t


def jeffreys_conjugate(t: Numbers) -> Numbers:
    """w + 1 / w + t - 2 with w = W(e^(1 - t)), Lambert's W. Nowozin et al. 2016 (1606.00709), table 6."""
    z = jeffreys_log_ratio(t)  # -log w
    return torch.exp(z) + z - 1


class FDivergence(NamedTuple):
    """One row of tables 1 and 2 (4 and 6 with all seven) of Nowozin et al. 2016. All functions are elementwise.

    Differs from the paper:

    - The activation of KL is v + 1 instead of v, because then the logit 0 separates real from generated rows for every
      divergence: activation(0) = f'(1), the threshold of the paper's section 2.4.
    - The logit is `limited` where an exponential would exceed e^`STEEPEST`, because it would overflow; the bound still
      holds.
    """

    f: Callable[[Tensor], Tensor]
    """Maps p / q to f(p / q); convex, f(1) = 0."""
    activation: Callable[[Tensor], Tensor]
    """Maps the logit to T."""
    conjugate: Callable[[Tensor], Tensor]
    """Maps T to f*(T)."""
    reward: Callable[[Tensor], Tensor]
    """Maps the logit v to f*(T) = conjugate(activation(v)), in a form without cancellation. It does not decrease with
    the logit; at the optimum it is minus the derivative of D_f with respect to the density q. Reward of a policy in Ke
    et al. 2019 (1905.12888) and Zhang et al. 2020 (f-GAIL, 2010.01207)."""
    log_ratio: Callable[[Tensor], Tensor]
    """Maps the logit to log(p / q), nats, at the optimum."""
    optimal_logit: Callable[[Tensor], Tensor]
    """Maps log(p / q), nats, to the logit at the optimum, where activation(logit) = f'(p / q)."""

    def discriminator_loss(self, real_logit: Float[Tensor, "*r"], fake_logit: Float[Tensor, "*f"]) -> Float[Tensor, ""]:
        """E_fake[f*(T)] - E_real[T], whose minimum is -D_f. Nowozin et al. 2016 (1606.00709), eq. 7."""
        return self.reward(fake_logit).mean() - self.activation(real_logit).mean()


F_DIVERGENCES: dict[str, FDivergence] = {
    "kl": FDivergence(
        f=lambda u: torch.xlogy(u, u),
        activation=lambda v: 1 + limited(v),
        conjugate=lambda t: torch.exp(t - 1),
        reward=lambda v: torch.exp(limited(v)),
        log_ratio=limited,
        optimal_logit=lambda x: x,
    ),
    "reverse_kl": FDivergence(
        f=lambda u: -torch.log(u),
        activation=lambda v: -torch.exp(-limited_below(v)),
        conjugate=lambda t: -1 - torch.log(-t),
        reward=lambda v: limited_below(v) - 1,
        log_ratio=limited_below,
        optimal_logit=lambda x: x,
    ),
    "pearson": FDivergence(
        f=lambda u: (u - 1).square(),
        activation=lambda v: v,
        conjugate=pearson_conjugate,
        reward=pearson_conjugate,
        log_ratio=lambda v: torch.log((1 + v / 2).clamp(min=LEAST_RATIO)),
        optimal_logit=lambda x: 2 * torch.expm1(limited(x)),
    ),
    "neyman": FDivergence(
        f=lambda u: (1 - u).square() / u,
        activation=lambda v: 1 - torch.exp(-limited_below(v)),
        conjugate=lambda t: 2 - 2 * torch.sqrt(1 - t),
        reward=lambda v: 2 - 2 * torch.exp(-limited_below(v) / 2),
        log_ratio=lambda v: limited_below(v) / 2,
        optimal_logit=lambda x: 2 * x,
    ),
    "squared_hellinger": FDivergence(
        f=lambda u: (torch.sqrt(u) - 1).square(),
        activation=lambda v: 1 - torch.exp(-limited_below(limited(v))),
        conjugate=lambda t: t / (1 - t),
        reward=lambda v: torch.exp(limited_below(limited(v))) - 1,
        log_ratio=lambda v: 2 * limited_below(limited(v)),
        optimal_logit=lambda x: x / 2,
    ),
    "jensen_shannon": FDivergence(
        f=lambda u: torch.xlogy(u, u) - (u + 1) * torch.log((u + 1) / 2),
        activation=lambda v: math.log(2) - F.softplus(-v),
        conjugate=lambda t: -torch.log(2 - torch.exp(t)),
        reward=lambda v: F.softplus(v) - math.log(2),
        log_ratio=lambda v: v,
        optimal_logit=lambda x: x,
    ),
    "jeffreys": FDivergence(
        f=lambda u: (u - 1) * torch.log(u),
        activation=limited,
        conjugate=jeffreys_conjugate,
        reward=lambda v: jeffreys_conjugate(limited(v)),
        log_ratio=lambda v: jeffreys_log_ratio(limited(v)),
        optimal_logit=lambda x: 1 + x - torch.exp(-limited_below(x)),
    ),
}
"""KL(p ‖ q), KL(q ‖ p), ∫(p - q)² / q, ∫(p - q)² / p, ∫(√p - √q)², twice the Jensen-Shannon divergence, and
KL(p ‖ q) + KL(q ‖ p). The paper prints the integrals of the two χ² divergences in the opposite order to its own f."""
