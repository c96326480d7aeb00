"""Brings rewards of any size to returns of unit spread, which a value function learns quickly."""

from typing import Any

import numpy as np
import torch

from rlgen.rewards.bonus_unit import ReturnSpread


class ReturnScale:
    """Divides rewards by the running standard deviation of the discounted returns so far. Engstrom et al. 2020
    (2005.12729), section 2, "reward scaling"; what Stable-Baselines3's VecNormalize does to task rewards.

    Differs from it: sees the rewards that the policy learns from, whole rollouts at a time, and divides a rollout by
    statistics that include it. Rewards keep their sign and zero stays zero.
    """

    def __init__(self, gamma: float, n_envs: int, clip: float = 10.0):
        self.spread, self.clip = ReturnSpread(n_envs, gamma), clip

    def update(self, rewards: np.ndarray, episode_starts: np.ndarray) -> None:
        """Take a rollout into the statistics. Rewards [T, N]; episode_starts [T, N]: the step begins an episode."""
        self.spread.merge(torch.from_numpy(rewards).flatten(), torch.from_numpy(episode_starts))

    def __call__(self, rewards: np.ndarray) -> np.ndarray:
        """Rewards [T, N] divided by the spread of returns, clipped."""
        divided = self.spread(torch.from_numpy(rewards).flatten())
        return divided.clamp(-self.clip, self.clip).numpy().reshape(rewards.shape)

    def state_dict(self) -> dict[str, Any]:
        """Stays as it is while the statistics move on."""
        own = {name: value.clone() for name, value in self.spread.state_dict().items()}
        return {"running": own.pop("sums"), **own}  # as checkpoints have called it

    def load_state_dict(self, state: dict[str, Any]) -> None:
        values = {name: torch.as_tensor(value) for name, value in state.items()}
        self.spread.load_state_dict({"sums": values.pop("running"), **values})
