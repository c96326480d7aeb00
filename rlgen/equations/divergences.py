"""Divergences between expert and policy (or data and generator), estimated from a discriminator's logit.

Sign: `logit` > 0 means expert (or real data). D = sigmoid(logit) is the probability of *expert*. A `Divergence` holds
what one choice of divergence fixes: the discriminator's loss, the reward per step of a policy, which is not
differentiable, and the loss of a differentiable generator, which is minus the mean reward.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from rlgen.equations.f_divergences import F_DIVERGENCES, LEAST_RATIO, FDivergence, limited

Logit = Float[Tensor, "*batch"]
Expert = Float[Tensor, "*e"]
Policy = Float[Tensor, "*p"]
Scalar = Float[Tensor, ""]


def logistic_discriminator_loss(expert_logit: Expert, policy_logit: Policy) -> Scalar:
    """-E_expert[log D] - E_policy[log(1 - D)], nats. Goodfellow et al. 2014 (1406.2661), eq. 1; for policies Ho & Ermon
    2016 (1606.03476), eq. 17.

    Its minimum over all discriminators is 2 log 2 - 2 JS(expert, policy), at the logit log(p_expert / p_policy).
    """
    return F.softplus(-expert_logit).mean() + F.softplus(policy_logit).mean()


def least_squares_discriminator_loss(expert_logit: Expert, policy_logit: Policy) -> Scalar:
    """½ E_expert[(logit - 1)²] + ½ E_policy[(logit + 1)²]. Mao et al. 2017 (LSGAN, 1611.04076), eq. 2 with a = -1,
    b = 1; for policies Peng et al. 2021 (AMP, 2104.02180).

    The optimal logit is (p_expert - p_policy) / (p_expert + p_policy), between -1 and 1.
    """
    return 0.5 * ((expert_logit - 1).square().mean() + (policy_logit + 1).square().mean())


def hinge_discriminator_loss(expert_logit: Expert, policy_logit: Policy) -> Scalar:
    """E_expert[max(0, 1 - logit)] + E_policy[max(0, 1 + logit)]. Lim & Ye 2017 (1705.02894); Miyato et al. 2018
    (1802.05957), eq. 16.

    Its minimum is 2 - 2 TV(expert, policy), TV the total variation; the optimal logit is the sign of
    p_expert - p_policy.
    """
    return F.relu(1 - expert_logit).mean() + F.relu(1 + policy_logit).mean()


def wasserstein_discriminator_loss(expert_logit: Expert, policy_logit: Policy) -> Scalar:
    """E_policy[logit] - E_expert[logit], in units of the inputs. Arjovsky et al. 2017 (1701.07875), eq. 2.

    Its minimum over functions with a Lipschitz constant of at most 1 is minus the Wasserstein distance. Without a
    gradient penalty or another constraint it has no minimum.
    """
    return policy_logit.mean() - expert_logit.mean()


def neg_log_one_minus_d(expert_logit: Logit) -> Logit:
    """-log(1 - D): never negative, so it favors long episodes. Ho & Ermon 2016 (1606.03476), Alg. 1; for a generator
    the saturating loss of Goodfellow et al. 2014 (1406.2661), eq. 1.

    Differs from the paper: D is the probability of *expert*, because a high value then means good.
    """
    return F.softplus(expert_logit)


def log_d(expert_logit: Logit) -> Logit:
    """log D: never positive, so it favors short episodes. For tasks in which an early end means success. Released code
    of Ho & Ermon 2016 (1606.03476), `favor_zero_expert_reward`; for a generator Goodfellow et al. 2014 (1406.2661),
    section 3."""
    return -F.softplus(-expert_logit)


def log_ratio_reward(expert_logit: Logit) -> Logit:
    """log D - log(1 - D), which is the logit: positive or negative. Fu et al. 2018 (AIRL, 1710.11248), section 4; for a
    generator Sønderby et al. 2017 (1610.04490), section 3.2."""
    return expert_logit


def forward_kl_reward(expert_logit: Logit) -> Logit:
    """-h e^h, h the logit. Ghasemipour et al. 2019 (FAIRL, 1911.02256).

    With the optimal discriminator its mean over the policy is -KL(expert ‖ policy). It rises up to h = -1 and falls
    above it, so pairs that the expert visits more often than the policy have a negative reward.
    Differs from the paper: `limited` h instead of clipped rewards, because e^h overflows.
    """
    h = limited(expert_logit)
    return -h * torch.exp(h)


def bounded_reward(expert_logit: Logit) -> Logit:
    """½ D (1 + tanh h) = D(h) D(2h), h the logit: between 0 and 1, nearly 0 below h = -2. Found by a search over reward
    functions. Chirra et al. 2025 (DAIL, 2510.00922)."""
    return torch.sigmoid(expert_logit) * torch.sigmoid(2 * expert_logit)


def least_squares_reward(expert_logit: Logit) -> Logit:
    """1 - ¼ (logit - 1)². Peng et al. 2021 (AMP, 2104.02180); for a generator Mao et al. 2017 (1611.04076), eq. 2 with
    c = b, halved.

    For the logits of the optimal discriminator it is between 0 and 1 and increases with the logit.
    Differs from the paper: not clipped at 0, because a generator would have no gradient there.
    """
    return 1 - 0.25 * (expert_logit - 1).square()


def clipped_least_squares_reward(expert_logit: Logit) -> Logit:
    """max(0, 1 - ¼ (logit - 1)²): between 0 and 1. Peng et al. 2021 (AMP, 2104.02180), equation 7."""
    return least_squares_reward(expert_logit).clamp(min=0)


def least_squares_log_ratio(expert_logit: Logit) -> Logit:
    """log((1 + logit) / (1 - logit)), nats: log(p_expert / p_policy) at the optimal discriminator of Mao et al. 2017
    (1611.04076), section 3.2."""
    logit = expert_logit.clamp(LEAST_RATIO - 1, 1 - LEAST_RATIO)
    return torch.log1p(logit) - torch.log1p(-logit)


def least_squares_optimal_logit(log_ratio: Logit) -> Logit:
    """(p_expert - p_policy) / (p_expert + p_policy), the optimal discriminator of Mao et al. 2017 (1611.04076), section
    3.2, from log(p_expert / p_policy), nats."""
    return torch.tanh(log_ratio / 2)


def smoothed_discriminator_loss(real_logit: Expert, fake_logit: Policy, real_target: float) -> Scalar:
    """`logistic_discriminator_loss` with one-sided label smoothing: the label of real rows is `real_target`, not 1.
    Salimans et al. 2016 (1606.03498), section 3.4, with β = 0.

    The optimum is D = real_target · p / (p + q).
    """
    return logistic_discriminator_loss(real_logit, fake_logit) + (1 - real_target) * real_logit.mean()


class Divergence(NamedTuple):
    """One choice of divergence, for generators and for policies."""

    discriminator_loss: Callable[[Tensor, Tensor], Tensor]
    """Maps (expert_logit [B], policy_logit [B']) to a scalar, which the discriminator minimizes."""
    reward: Callable[[Tensor], Tensor]
    """Maps expert_logit [B] to the reward per step [B]."""
    log_ratio: Callable[[Tensor], Tensor] | None = None
    """Maps expert_logit [B] to log(p_expert / p_policy) [B], nats, at the optimal discriminator. None where the logit
    does not determine it."""
    optimal_logit: Callable[[Tensor], Tensor] | None = None
    """The inverse of `log_ratio`: the optimal discriminator's logit; None as there."""
    boundary: Callable[[Tensor, Tensor], Tensor | float] = lambda expert_logit, policy_logit: 0.0
    """Maps (expert_logit [B], policy_logit [B']) to the logit above which a row is classified as expert."""

    def generator_loss(self, fake_logit: Tensor) -> Tensor:
        """Minus the mean reward of `fake_logit` [B]: a scalar, which the generator minimizes."""
        return -self.reward(fake_logit).mean()


def middle(expert_logit: Tensor, policy_logit: Tensor) -> Tensor:
    """Midpoint of the two means: the boundary of a Wasserstein critic, whose zero is arbitrary because a constant added
    to it does not change the loss. Arjovsky et al. 2017 (1701.07875)."""
    return 0.5 * (expert_logit.mean() + policy_logit.mean())


def logistic(reward: Callable[[Tensor], Tensor]) -> Divergence:
    """`Divergence` of the logistic loss, whose optimal logit is the log-ratio. Ho & Ermon 2016 (1606.03476)."""
    return Divergence(logistic_discriminator_loss, reward, log_ratio_reward, log_ratio_reward)


def variational(divergence: FDivergence) -> Divergence:
    """`Divergence` of an f-divergence. Nowozin et al. 2016 (1606.00709), Alg. 1.

    For the generator loss of their section 3.2, which maximizes E_fake[T] instead of E_fake[f*(T)], use
    `variational(f)._replace(reward=f.activation)`.
    """
    return Divergence(divergence.discriminator_loss, divergence.reward, divergence.log_ratio, divergence.optimal_logit)


DIVERGENCES: dict[str, Divergence] = {
    "minimax": logistic(neg_log_one_minus_d),
    "non_saturating": logistic(log_d),
    "reverse_kl": logistic(log_ratio_reward),
    "fairl": logistic(forward_kl_reward),
    "dail": logistic(bounded_reward),
    "least_squares": Divergence(
        least_squares_discriminator_loss, least_squares_reward, least_squares_log_ratio, least_squares_optimal_logit
    ),
    "amp": Divergence(
        least_squares_discriminator_loss,
        clipped_least_squares_reward,
        least_squares_log_ratio,
        least_squares_optimal_logit,
    ),
    "hinge": Divergence(hinge_discriminator_loss, log_ratio_reward),
    "wasserstein": Divergence(wasserstein_discriminator_loss, log_ratio_reward, boundary=middle),
    **{f"f_{name}": variational(divergence) for name, divergence in F_DIVERGENCES.items()},
}
"""Rewards: minimax -log(1-D), non_saturating log D, reverse_kl log D - log(1-D), fairl -h e^h with h the logit, dail
D(h) D(2h), least_squares 1 - ¼(logit - 1)², amp the same but at least 0, hinge and wasserstein the logit, f_… the
convex conjugate f*(T)."""
GENERATOR_DIVERGENCES: tuple[str, ...] = tuple(name for name in DIVERGENCES if name not in ("fairl", "dail", "amp"))
"""Divergences that suit a generator. Not fairl: gradients of its reward with respect to the generated rows point away
from the data; nor dail and amp, whose rewards are flat where the discriminator is sure. They suit score-function
(policy) gradients."""
