"""f-divergences D_f(p ‖ q) = E_q[f(p / q)], nats, as games of a discriminator: f-GAN, Nowozin et al. 2016 (1606.00709).

For every function T, D_f ≥ E_p[T] - E_q[f*(T)] (eq. 4), f* the convex conjugate of f, with equality at T = f'(p / q)
(eq. 5).
An activation that belongs to f takes a logit of any size to a T that f* accepts (eq. 7). Real or expert rows come from
p, generated or policy rows from q.
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
"""Exponents above it grow like a logarithm, so that exponentials go on along their tangent. Ratios of densities above
e^20 are beyond what minibatches can tell; float32 holds e^88, and of gradients, whose squares Adam keeps, only e^44. A
clamp would do as well against infinities, but its gradient is zero: a real row that was taken for certainly generated
would never be put right."""
LEAST_RATIO = 1e-6
"""A ratio of densities that is estimated as zero or less counts as this one, whose logarithm is finite."""


def limited(x: Numbers) -> Numbers:
    """x up to `STEEPEST`, above it S + log(1 + x - S): rising and smooth, with an exponential of slope e^S there. What
    Huber 1964, "Robust estimation of a location parameter", does to the square."""
    return x.clamp(max=STEEPEST) + torch.log1p(F.relu(x - STEEPEST))


def limited_below(x: Numbers) -> Numbers:
    """`limited` for falling exponentials, -limited(-x). As Huber 1964."""
    return -limited(-x)


def jeffreys_log_ratio(t: Numbers) -> Numbers:
    """log u where f'(u) = 1 + log u - 1 / u is t, f that of Jeffreys: W(e^(1 - t)) + t - 1 with Lambert's W.

    Corless et al. 1996, "On the Lambert W function", for W. Newton's method for log u itself, which begins below the
    solution of this concave equation and so rises to it: neither e^(1 - t) nor W leaves the range of floats. Its
    derivatives come out of the same iterations.
    """
    z = torch.maximum(torch.maximum(t / 2, t - 1), -torch.log1p(F.relu(-t)))
    for _ in range(6):
        inverse = torch.exp(-z)
        z = z - (1 + z - inverse - t) / (1 + inverse)
    return z


def pearson_conjugate(t: Numbers) -> Numbers:
    """sup over u ≥ 0 of u t - (u - 1)². Nowozin et al. 2016 (1606.00709), table 2.

    Differs from the paper: constant below t = -2, where the paper's t² / 4 + t rises again, because a ratio of
    densities is never negative; a generator would be led away from the data there.
    """
    t = t.clamp(min=-2)
    return t.square() / 4 + t


def jeffreys_conjugate(t: Numbers) -> Numbers:
    """w + 1 / w + t - 2 with w = W(e^(1 - t)), Lambert's W. Nowozin et al. 2016 (1606.00709), table 6."""
    z = jeffreys_log_ratio(t)  # -log w
    return torch.exp(z) + z - 1


class FDivergence(NamedTuple):
    """One row of tables 1 and 2 (4 and 6 with all seven) of Nowozin et al. 2016. Every function is element by element.

    Differs from the paper: the activation of KL is v + 1 instead of v, because with it 0 separates real from generated
    rows for every divergence here: activation(0) = f'(1), the threshold of the paper's section 2.4. And where an
    exponential would grow beyond e^`STEEPEST` the logit is `limited` first; the bound holds for that as well.
    """

    f: Callable[[Tensor], Tensor]
    """p / q to f(p / q), convex, f(1) = 0."""
    activation: Callable[[Tensor], Tensor]
    """Logit to T."""
    conjugate: Callable[[Tensor], Tensor]
    """T to f*(T)."""
    reward: Callable[[Tensor], Tensor]
    """Logit to f*(T), conjugate(activation(v)) in a form without cancellation. It never falls with the logit; at the
    optimum it is minus the derivative of D_f by the density q. What Ke et al. 2019 (1905.12888) and Zhang et al. 2020
    (f-GAIL, 2010.01207) pay a policy."""
    log_ratio: Callable[[Tensor], Tensor]
    """Logit to log(p / q), nats, at the optimum."""

    def discriminator_loss(self, real_logit: Float[Tensor, "*r"], fake_logit: Float[Tensor, "*f"]) -> Float[Tensor, ""]:
        """E_fake[f*(T)] - E_real[T], the least value of which is -D_f. Nowozin et al. 2016 (1606.00709), eq. 7."""
        return self.reward(fake_logit).mean() - self.activation(real_logit).mean()


F_DIVERGENCES: dict[str, FDivergence] = {
    "kl": FDivergence(
        f=lambda u: torch.xlogy(u, u),
        activation=lambda v: 1 + limited(v),
        conjugate=lambda t: torch.exp(t - 1),
        reward=lambda v: torch.exp(limited(v)),
        log_ratio=limited,
    ),
    "reverse_kl": FDivergence(
        f=lambda u: -torch.log(u),
        activation=lambda v: -torch.exp(-limited_below(v)),
        conjugate=lambda t: -1 - torch.log(-t),
        reward=lambda v: limited_below(v) - 1,
        log_ratio=limited_below,
    ),
    "pearson": FDivergence(
        f=lambda u: (u - 1).square(),
        activation=lambda v: v,
        conjugate=pearson_conjugate,
        reward=pearson_conjugate,
        log_ratio=lambda v: torch.log((1 + v / 2).clamp(min=LEAST_RATIO)),
    ),
    "neyman": FDivergence(
        f=lambda u: (1 - u).square() / u,
        activation=lambda v: 1 - torch.exp(-limited_below(v)),
        conjugate=lambda t: 2 - 2 * torch.sqrt(1 - t),
        reward=lambda v: 2 - 2 * torch.exp(-limited_below(v) / 2),
        log_ratio=lambda v: limited_below(v) / 2,
    ),
    "squared_hellinger": FDivergence(
        f=lambda u: (torch.sqrt(u) - 1).square(),
        activation=lambda v: 1 - torch.exp(-limited_below(limited(v))),
        conjugate=lambda t: t / (1 - t),
        reward=lambda v: torch.exp(limited_below(limited(v))) - 1,
        log_ratio=lambda v: 2 * limited_below(limited(v)),
    ),
    "jensen_shannon": FDivergence(
        f=lambda u: torch.xlogy(u, u) - (u + 1) * torch.log((u + 1) / 2),
        activation=lambda v: math.log(2) - F.softplus(-v),
        conjugate=lambda t: -torch.log(2 - torch.exp(t)),
        reward=lambda v: F.softplus(v) - math.log(2),
        log_ratio=lambda v: v,
    ),
    "jeffreys": FDivergence(
        f=lambda u: (u - 1) * torch.log(u),
        activation=limited,
        conjugate=jeffreys_conjugate,
        reward=lambda v: jeffreys_conjugate(limited(v)),
        log_ratio=lambda v: jeffreys_log_ratio(limited(v)),
    ),
}
"""KL(p ‖ q), KL(q ‖ p), ∫(p - q)² / q, ∫(p - q)² / p, ∫(√p - √q)², twice the Jensen-Shannon divergence, and
KL(p ‖ q) + KL(q ‖ p). The paper prints the integrals of the two χ² the other way round than its own f gives them."""
