"""Brings rewards of any size to returns of unit spread, which a value function learns quickly."""

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from rlgen.rewards.bonus_unit import ReturnSpread

Rewards = TypeVar("Rewards", np.ndarray, Tensor)


class ReturnScale:
    """Divides rewards by the running standard deviation of the discounted returns so far. Engstrom et al. 2020
    (2005.12729), section 2, "reward scaling"; what Stable-Baselines3's VecNormalize does to task rewards.

    Differs from it: sees the rewards that the policy learns from, whole rollouts at a time, and divides a rollout by
    statistics that include it. Rewards keep their sign and zero stays zero.
    """

    def __init__(self, gamma: float, n_envs: int, clip: float = 10.0):
        self.spread, self.clip = ReturnSpread(n_envs, gamma), clip

    def update(self, rewards: np.ndarray | Tensor, episode_starts: np.ndarray | Tensor) -> None:
        """Take a rollout into the statistics. Rewards [T, N]; episode_starts [T, N]: the step begins an episode."""
        paid = torch.as_tensor(rewards)
        self.spread.to(paid.device).merge(paid.flatten(), torch.as_tensor(episode_starts))

    def __call__(self, rewards: Rewards) -> Rewards:
        """Rewards [T, N] divided by the spread of returns, clipped; tensors for tensors. What is not finite stays so: a
        clip would hide it from whoever stops there."""
        given = torch.as_tensor(rewards)
        divided = self.spread(given.flatten()).clamp(-self.clip, self.clip).reshape(given.shape)
        divided = torch.where(torch.isfinite(given), divided, given)
        return divided if isinstance(rewards, Tensor) else divided.numpy()

    def state_dict(self) -> dict[str, Any]:
        """Stays as it is while the statistics move on."""
        own = {name: value.clone() for name, value in self.spread.state_dict().items()}
        return {"running": own.pop("sums"), **own}  # as checkpoints have called it

    def load_state_dict(self, state: dict[str, Any]) -> None:
        values = {name: torch.as_tensor(value) for name, value in state.items()}
        self.spread.load_state_dict({"sums": values.pop("running"), **values})
