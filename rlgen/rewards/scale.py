"""Brings rewards of any size to returns of unit spread, which a value function learns quickly."""

from typing import Any

import numpy as np
import torch

from rlgen.equations.statistics import merge_moments


class ReturnScale:
    """Divides rewards by the running standard deviation of the discounted returns so far. Engstrom et al. 2020
    (2005.12729), section 2, "reward scaling"; what Stable-Baselines3's VecNormalize does to task rewards.

    Differs from it: sees the rewards that the policy learns from, whole rollouts at a time, and divides a rollout by
    statistics that include it. Rewards keep their sign and zero stays zero.
    """

    def __init__(self, gamma: float, n_envs: int, clip: float = 10.0):
        self.gamma, self.clip = gamma, clip
        self.running = np.zeros(n_envs)
        self.mean = self.var = self.count = torch.zeros((), dtype=torch.float64)

    def update(self, rewards: np.ndarray, episode_starts: np.ndarray) -> None:
        """Take a rollout into the statistics. Rewards [T, N]; episode_starts [T, N]: the step begins an episode."""
        returns = np.empty(rewards.shape)
        for t, (reward, start) in enumerate(zip(rewards, episode_starts, strict=True)):
            self.running = self.running * self.gamma * (1 - start) + reward
            returns[t] = self.running
        batch = torch.from_numpy(returns)
        count = torch.tensor(float(batch.numel()), dtype=torch.float64)
        self.mean, self.var, self.count = merge_moments(
            self.mean, self.var, self.count, batch.mean(), batch.var(unbiased=False), count
        )

    def __call__(self, rewards: np.ndarray) -> np.ndarray:
        """Rewards [T, N] divided by the spread of returns, clipped."""
        return np.clip(rewards / (self.var.sqrt().item() + 1e-8), -self.clip, self.clip)

    def state_dict(self) -> dict[str, Any]:
        return {"running": self.running.copy(), "mean": self.mean, "var": self.var, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.running = np.array(state["running"])
        self.mean, self.var, self.count = state["mean"], state["var"], state["count"]
