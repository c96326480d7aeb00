"""Generalised advantage estimation."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Steps = Float[Tensor, "T N"]


def generalised_advantages(
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
    """
    deltas = rewards + gamma * torch.where(terminated, 0.0, next_values) - values
    goes_on = gamma * lam * (~finished).to(deltas.dtype)
    advantages = torch.empty_like(deltas)
    following = torch.zeros_like(deltas[0])
    for step in reversed(range(len(deltas))):
        following = torch.addcmul(deltas[step], goes_on[step], following)
        advantages[step] = following
    return advantages
