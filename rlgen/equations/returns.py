"""Discounted sums of rewards, and generalized advantages."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

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
