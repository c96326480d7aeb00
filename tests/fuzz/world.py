"""A world of three steps, for policies that are played a thousand times."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

ENV = "FuzzWorld-v0"


class FuzzWorld(gym.Env[np.ndarray, np.ndarray]):
    """Three numbers to see, two to choose; pays what the action sums to."""

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        return self.np_random.normal(size=3).astype(np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        return self.np_random.normal(size=3).astype(np.float32), float(np.sum(action)), False, False, {}


gym.register(ENV, FuzzWorld, max_episode_steps=4)
