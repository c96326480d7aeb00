"""Divergences between expert and policy (or data and generator), estimated by a discriminator's logit.

Sign: `logit` > 0 means expert (or real data). D = sigmoid(logit) is the probability of *expert*.
A `Divergence` bundles what one choice of divergence fixes: the discriminator's loss, the generator's loss for a
differentiable generator, and the reward per step for an agent, which cannot be differentiated through.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Logit = Float[Tensor, "*batch"]
Scalar = Float[Tensor, ""]


def logistic_discriminator_loss(expert_logit: Float[Tensor, "*e"], policy_logit: Float[Tensor, "*p"]) -> Scalar:
    """-E_expert[log D] - E_policy[log(1 - D)], nats. Goodfellow et al. 2014 (1406.2661), eq. 1; as a discriminator of
    policies Ho & Ermon 2016 (1606.03476), eq. 17.

    Its minimum over all discriminators is 2 log 2 - 2 JS(expert, policy), with optimum logit log(p_expert / p_policy).
    """
    return F.softplus(-expert_logit).mean() + F.softplus(policy_logit).mean()


def minimax_generator_loss(fake_logit: Logit) -> Scalar:
    """E_fake[log(1 - D)]: the saturating loss of the two-player game. Goodfellow et al. 2014 (1406.2661), eq. 1."""
    return -F.softplus(fake_logit).mean()


def non_saturating_generator_loss(fake_logit: Logit) -> Scalar:
    """-E_fake[log D]. Goodfellow et al. 2014 (1406.2661), section 3."""
    return F.softplus(-fake_logit).mean()


def reverse_kl_generator_loss(fake_logit: Logit) -> Scalar:
    """E_fake[log(1 - D) - log D], at the optimal D the reverse KL(fake, data), nats. Sønderby et al. 2017 (1610.04490),
    eq. 12."""
    return -fake_logit.mean()


def survival_reward(expert_logit: Logit) -> Logit:
    """-log(1 - D): never negative, so staying alive pays. Ho & Ermon 2016 (1606.03476), Alg. 1.

    Differs from the paper: D is the probability of *expert* here, so high means good.
    """
    return F.softplus(expert_logit)


def log_d_reward(expert_logit: Logit) -> Logit:
    """log D: never positive, for tasks in which an early end means success. Ho & Ermon 2016 (1606.03476), released
    code, `favor_zero_expert_reward`."""
    return -F.softplus(-expert_logit)


def log_ratio_reward(expert_logit: Logit) -> Logit:
    """log D - log(1 - D): the logit itself, of either sign. Fu et al. 2018 (AIRL, 1710.11248), section 4."""
    return expert_logit


class Divergence(NamedTuple):
    """One choice of divergence, for generators and agents alike."""

    discriminator_loss: Callable[[Tensor, Tensor], Tensor]
    """(expert_logit [B], policy_logit [B']) to a scalar to be minimised."""
    generator_loss: Callable[[Tensor], Tensor]
    """fake_logit [B] to a scalar to be minimised through the generator."""
    reward: Callable[[Tensor], Tensor]
    """expert_logit [B] to the reward per step [B]."""


DIVERGENCES: dict[str, Divergence] = {
    "minimax": Divergence(logistic_discriminator_loss, minimax_generator_loss, survival_reward),
    "non_saturating": Divergence(logistic_discriminator_loss, non_saturating_generator_loss, log_d_reward),
    "reverse_kl": Divergence(logistic_discriminator_loss, reverse_kl_generator_loss, log_ratio_reward),
}
"""Rewards: minimax -log(1-D), non_saturating log D, reverse_kl log D - log(1-D)."""
