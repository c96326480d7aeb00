"""Policy gradients: discounted sums, generalized advantages, and PPO's clipped surrogate."""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

Steps = Float[Tensor, "T N"]


def generalized_advantages(
    rewards: Steps,
    values: Steps,
    next_values: Steps,
    terminated: Bool[Tensor, "T N"],
    finished: Bool[Tensor, "T N"],
    gamma: float,
    lam: float,
) -> Steps:
    """Σ_l (γλ)^l δ_{t+l} within an episode, δ_t = r_t + γ V(s_{t+1}) - V(s_t).

    Schulman et al. 2015 (1506.02438), eq. 16. V(s_{t+1}) is 0 where the step `terminated` its episode. `next_values`
    are the values of the state after the step, also where a time limit truncates the episode (`finished` without
    `terminated`): the bootstrap of Pardo et al. 2018 (1712.00378). Sums end with the episode and with the rollout.
    `lam` is λ.

    A step with reward 1 that ends the episode, after one with reward 0, where V is 0 everywhere:

    >>> rewards, zeros, ends = torch.tensor([[0.0], [1.0]]), torch.zeros(2, 1), torch.tensor([[False], [True]])
    >>> generalized_advantages(rewards, zeros, zeros, ends, ends, gamma=0.9, lam=0.5).flatten()
    tensor([0.4500, 1.0000])
    """
    deltas = rewards + gamma * torch.where(terminated, 0.0, next_values) - values
    goes_on = gamma * lam * (~finished).to(deltas.dtype)
    advantages = torch.empty_like(deltas)
    following = torch.zeros_like(deltas[0])
    for step in reversed(range(len(deltas))):
        following = torch.addcmul(deltas[step], goes_on[step], following)
        advantages[step] = following
    return advantages


def non_episodic_advantages(rewards: Steps, values: Float[Tensor, "T+1 N"], gamma: float, lam: float) -> Steps:
    """Generalized advantages of one stream of steps, in which an episode's end is a step like others: the state after
    it is the first of the next episode. Burda et al. 2018 (1810.12894), section 2.3, for intrinsic rewards.

    `values` are those of the T states in which the policy acted and of the one after them; `lam` is λ.

    The reward of the second step reaches the first one, whether or not an episode ended between them:

    >>> rewards, zeros = torch.tensor([[0.0], [1.0]]), torch.zeros(3, 1)
    >>> non_episodic_advantages(rewards, zeros, gamma=0.9, lam=0.5).flatten()
    tensor([0.4500, 1.0000])
    """
    never = torch.zeros_like(rewards, dtype=torch.bool)
    return generalized_advantages(rewards, values[:-1], values[1:], never, never, gamma, lam)


def discounted_sums(
    rewards: Float[Tensor, "T N"],
    before: Float[Tensor, " N"],
    gamma: float,
    starts: Float[Tensor, "T N"] | None = None,
) -> Float[Tensor, "T N"]:
    """At each step t the sum of γ^(t-i) · reward_i over i up to t, continued from the sums `before`. If `starts` is
    given, i begins at the last step up to t where it is 1.

    Burda et al. 2018 (1810.12894), section 2.4, divide intrinsic rewards by the standard deviation of these. The reach
    of the sums doubles in each iteration: log2(T) additions of tensors instead of T of rows.
    """
    sums = rewards.clone()
    goes_on = torch.ones_like(rewards) if starts is None else 1 - starts.to(rewards)
    sums[0] += gamma * goes_on[0] * before
    reach = 1
    while reach < len(sums):
        sums[reach:] += gamma**reach * goes_on[reach:] * sums[:-reach]
        goes_on[reach:] = goes_on[reach:] * goes_on[:-reach]  # no start within twice the reach
        reach *= 2
    return sums


Scalar = Float[Tensor, ""]
Rows = Float[Tensor, " B"]
Actions = Float[Tensor, "B A"]


class SurrogateLoss(NamedTuple):
    """Result of `gaussian_surrogate`. Only `loss` has a gradient."""

    loss: Scalar
    """policy_loss + value_weight · value_loss."""
    policy_loss: Scalar
    """-E[min(ratio · advantage, clip(ratio, 1 ± clip_range) · advantage)]."""
    value_loss: Scalar
    """E[(value - return)^2]."""
    log_ratio: Rows
    """log π(a|s) - log π_old(a|s), nats."""


def gaussian_surrogate(
    mean: Actions,
    log_std: Float[Tensor, " A"],
    value: Float[Tensor, "B 1"],
    action: Actions,
    old_log_prob: Rows,
    advantage: Rows,
    returns: Rows,
    clip_range: float | Tensor,
    value_weight: float,
) -> SurrogateLoss:
    """Clipped surrogate and value loss of PPO for the policy N(mean, exp(log_std)²).

    Schulman et al. 2017 (1707.06347), eqs. 7 and 9. Gradients reach `mean`, `log_std` and `value`. The caller adds the
    entropy bonus of eq. 9.
    """
    return SurrogateLoss(
        *_Surrogate.apply(mean, log_std, value, action, old_log_prob, advantage, returns, clip_range, value_weight)
    )


def kl_estimate(log_ratio: Rows) -> Scalar:
    """E[ratio - 1 - log ratio] over actions of the old policy: an estimate of KL[old ‖ new], nats.

    Its variance is zero where both policies agree. Schulman 2020, "Approximating KL divergence", estimator k3.
    """
    return (log_ratio.expm1() - log_ratio).mean()


class _Surrogate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        mean, log_std, value, action, old_log_prob, advantage, returns, clip_range, value_weight = inputs
        std = log_std.exp()
        z = (action - mean) / std
        log_prob = -0.5 * (z * z).sum(-1) - (log_std.sum() + 0.5 * math.log(2 * math.pi) * len(log_std))
        log_ratio = log_prob - old_log_prob
        ratio = log_ratio.exp()
        free, clipped = ratio * advantage, ratio.clamp(1 - clip_range, 1 + clip_range) * advantage
        policy_loss = -torch.minimum(free, clipped).mean()
        error = value.squeeze(-1) - returns
        value_loss = (error * error).mean()
        # d policy_loss / d log_prob [B, 1]: zero where the clipped branch is the smaller one.
        slope = torch.where(free <= clipped, free, 0.0).mul_(-1 / len(free)).unsqueeze(-1)
        ctx.save_for_backward(
            slope * z / std, (slope * (z * z - 1)).sum(0), (2 * value_weight / len(error) * error).unsqueeze(-1)
        )
        ctx.mark_non_differentiable(policy_loss, value_loss, log_ratio)
        return policy_loss + value_weight * value_loss, policy_loss, value_loss, log_ratio

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        d_mean, d_log_std, d_value = ctx.saved_tensors
        return d_mean * gradient, d_log_std * gradient, d_value * gradient, *(None,) * 6
