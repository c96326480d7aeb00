"""Adversarial inverse reinforcement learning (AIRL): a discriminator that consists of a reward, a potential and the
policy's own likelihood. Fu et al. 2018 (1710.11248)."""

from jaxtyping import Bool, Float
from torch import Tensor

Batch = Float[Tensor, " B"]


def shaped_reward(
    reward: Batch, potential: Batch, next_potential: Batch, terminated: Bool[Tensor, " B"], gamma: float
) -> Batch:
    """f = g + γ h(s') - h(s): the reward g shaped by the potential h, which leaves optimal policies as they are (Ng
    et al. 1999). Fu et al. 2018 (1710.11248), equation 4.

    Differs from the paper: h(s') = 0 where the task ended the episode, because nothing follows; its episodes end by
    time limits only."""
    return reward + gamma * next_potential * ~terminated - potential


def policy_ratio_logit(shaped: Batch, log_prob: Batch) -> Batch:
    """f - log π: the logit of D = exp(f) / (exp(f) + π(a|s)), with `log_prob` in nats. As a reward it is
    log D - log(1 - D), whose sum the policy maximizes together with its entropy. Fu et al. 2018 (1710.11248), sections
    3 and 5."""
    return shaped - log_prob
