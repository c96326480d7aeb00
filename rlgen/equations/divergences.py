"""Divergences between expert and policy (or data and generator), estimated by a discriminator's logit.

Sign: `logit` > 0 means expert (or real data). Where D is spoken of, D = sigmoid(logit) is the probability of *expert*.
A `Divergence` bundles what one choice of divergence fixes: the discriminator's loss, the reward per step for an agent,
which cannot be differentiated through, and the loss of a differentiable generator, which is minus the mean reward.
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
    """-E_expert[log D] - E_policy[log(1 - D)], nats. Goodfellow et al. 2014 (1406.2661), eq. 1; as a discriminator of
    policies Ho & Ermon 2016 (1606.03476), eq. 17.

    Its minimum over all discriminators is 2 log 2 - 2 JS(expert, policy), with optimum logit log(p_expert / p_policy).
    """
    return F.softplus(-expert_logit).mean() + F.softplus(policy_logit).mean()


def least_squares_discriminator_loss(expert_logit: Expert, policy_logit: Policy) -> Scalar:
    """½ E_expert[(logit - 1)²] + ½ E_policy[(logit + 1)²]. Mao et al. 2017 (LSGAN, 1611.04076), eq. 2 with a = -1,
    b = 1; for policies Peng et al. 2021 (AMP, 2104.02180).

    Its optimum is (p_expert - p_policy) / (p_expert + p_policy), between -1 and 1.
    """
    return 0.5 * ((expert_logit - 1).square().mean() + (policy_logit + 1).square().mean())


def hinge_discriminator_loss(expert_logit: Expert, policy_logit: Policy) -> Scalar:
    """E_expert[max(0, 1 - logit)] + E_policy[max(0, 1 + logit)]. Lim & Ye 2017 (1705.02894); Miyato et al. 2018
    (1802.05957), eq. 16.

    Its minimum is 2 - 2 TV(expert, policy), TV the total variation, with the sign of p_expert - p_policy as optimum.
    """
    return F.relu(1 - expert_logit).mean() + F.relu(1 + policy_logit).mean()


def wasserstein_discriminator_loss(expert_logit: Expert, policy_logit: Policy) -> Scalar:
    """E_policy[logit] - E_expert[logit]: over functions of slope 1 or less, minus the Wasserstein distance, in units of
    the inputs. Arjovsky et al. 2017 (1701.07875), eq. 2. Without a penalty on the slope it has no minimum."""
    return policy_logit.mean() - expert_logit.mean()


def survival_reward(expert_logit: Logit) -> Logit:
    """-log(1 - D): never negative, so staying alive pays. Ho & Ermon 2016 (1606.03476), Alg. 1; for a generator the
    saturating loss of Goodfellow et al. 2014 (1406.2661), eq. 1.

    Differs from the paper: D is the probability of *expert* here, so high means good.
    """
    return F.softplus(expert_logit)


def log_d_reward(expert_logit: Logit) -> Logit:
    """log D: never positive, for tasks in which an early end means success. Ho & Ermon 2016 (1606.03476), released
    code, `favor_zero_expert_reward`; for a generator Goodfellow et al. 2014 (1406.2661), section 3."""
    return -F.softplus(-expert_logit)


def log_ratio_reward(expert_logit: Logit) -> Logit:
    """log D - log(1 - D): the logit itself, of either sign. Fu et al. 2018 (AIRL, 1710.11248), section 4; for a
    generator Sønderby et al. 2017 (1610.04490), section 3.2."""
    return expert_logit


def forward_kl_reward(expert_logit: Logit) -> Logit:
    """-h e^h, h the logit. Ghasemipour et al. 2019 (FAIRL, 1911.02256): its mean over the policy is
    -KL(expert ‖ policy) at the best discriminator.

    It rises up to h = -1 and falls from there: what the expert does more often than the policy costs.
    Differs from the paper: `limited` h instead of rewards cut off, because e^h leaves the range of floats.
    """
    h = limited(expert_logit)
    return -h * torch.exp(h)


def least_squares_reward(expert_logit: Logit) -> Logit:
    """1 - ¼ (logit - 1)²: between 0 and 1 for the logits of the best discriminator, and rising there. Peng et al. 2021
    (AMP, 2104.02180); for a generator Mao et al. 2017 (1611.04076), eq. 2 with c = b, halved.

    Differs from the paper: not cut off at 0, because a generator would have no gradient there.
    """
    return 1 - 0.25 * (expert_logit - 1).square()


def least_squares_log_ratio(expert_logit: Logit) -> Logit:
    """log((1 + logit) / (1 - logit)), nats: log(p_expert / p_policy) from the optimum of Mao et al. 2017 (1611.04076),
    section 3.2."""
    logit = expert_logit.clamp(LEAST_RATIO - 1, 1 - LEAST_RATIO)
    return torch.log1p(logit) - torch.log1p(-logit)


def smoothed_discriminator_loss(real_logit: Expert, fake_logit: Policy, real_target: float) -> Scalar:
    """`logistic_discriminator_loss` with the label `real_target` instead of 1 for real rows: one-sided label smoothing.
    Salimans et al. 2016 (1606.03498), section 3.4, with β = 0.

    Its optimum is D = real_target · p / (p + q).
    """
    return logistic_discriminator_loss(real_logit, fake_logit) + (1 - real_target) * real_logit.mean()


class Divergence(NamedTuple):
    """One choice of divergence, for generators and agents alike."""

    discriminator_loss: Callable[[Tensor, Tensor], Tensor]
    """(expert_logit [B], policy_logit [B']) to a scalar to be minimised."""
    reward: Callable[[Tensor], Tensor]
    """expert_logit [B] to the reward per step [B]."""
    log_ratio: Callable[[Tensor], Tensor] | None = None
    """expert_logit [B] to log(p_expert / p_policy) [B], nats, at the best discriminator; None if it does not tell."""
    boundary: Callable[[Tensor, Tensor], Tensor | float] = lambda expert_logit, policy_logit: 0.0
    """(expert_logit [B], policy_logit [B']) to the logit above which a row counts as the expert's."""

    def generator_loss(self, fake_logit: Tensor) -> Tensor:
        """fake_logit [B] to a scalar to be minimised through the generator."""
        return -self.reward(fake_logit).mean()


def middle(expert_logit: Tensor, policy_logit: Tensor) -> Tensor:
    """Halfway between the means, where a critic's own zero says nothing: adding a constant to a critic of Arjovsky et
    al. 2017 (1701.07875) changes nothing."""
    return 0.5 * (expert_logit.mean() + policy_logit.mean())


def variational(divergence: FDivergence) -> Divergence:
    """The game of an f-divergence. Nowozin et al. 2016 (1606.00709), Alg. 1.

    Their section 3.2 lets a generator maximise E_fake[T] instead of E_fake[f*(T)]: that is
    `variational(f)._replace(reward=f.activation)`.
    """
    return Divergence(divergence.discriminator_loss, divergence.reward, divergence.log_ratio)


DIVERGENCES: dict[str, Divergence] = {
    "minimax": Divergence(logistic_discriminator_loss, survival_reward, log_ratio_reward),
    "non_saturating": Divergence(logistic_discriminator_loss, log_d_reward, log_ratio_reward),
    "reverse_kl": Divergence(logistic_discriminator_loss, log_ratio_reward, log_ratio_reward),
    "fairl": Divergence(logistic_discriminator_loss, forward_kl_reward, log_ratio_reward),
    "least_squares": Divergence(least_squares_discriminator_loss, least_squares_reward, least_squares_log_ratio),
    "hinge": Divergence(hinge_discriminator_loss, log_ratio_reward),
    "wasserstein": Divergence(wasserstein_discriminator_loss, log_ratio_reward, boundary=middle),
    **{f"f_{name}": variational(divergence) for name, divergence in F_DIVERGENCES.items()},
}
"""Rewards: minimax -log(1-D), non_saturating log D, reverse_kl log D - log(1-D), fairl -h e^h with h the logit,
least_squares 1 - ¼(logit - 1)², hinge and wasserstein the logit, f_… the conjugate f*(T)."""
GENERATOR_DIVERGENCES: tuple[str, ...] = tuple(name for name in DIVERGENCES if name != "fairl")
"""Those whose generator's loss falls where a logit rises. Not fairl: descent on it would move rows away from the data,
since its reward is an expectation to be followed by score functions, not along the rows."""
