"""Worlds on a device without MuJoCo, for tests of what learns in them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rlgen.sb3 import SimVecEnv
from rlgen.sim.device_env import DeviceEnv, DeviceStep, NumpySim

TARGET = torch.tensor([0.3, -0.5])


class Aim(DeviceEnv):
    """Pays -|a - TARGET|². Observed is a number that changes with every step, and the step of the episode."""

    def __init__(self, n_envs: int, time_limit: int = 5) -> None:
        self.n_envs, self.time_limit, self.device, self.margin_rule = n_envs, time_limit, torch.device("cpu"), "native"
        self.task: Any = None
        self.action_low, self.action_high = -np.ones(2), np.ones(2)
        self.elapsed, self.returns = torch.zeros(n_envs, dtype=torch.int64), torch.zeros(n_envs)
        self.noise = torch.Generator().manual_seed(0)
        self.seen = torch.zeros(n_envs)
        self.checks = 0

    def reset(self, seeds: Any) -> Tensor:
        self.noise.manual_seed(int(seeds[0] or 0))
        self.elapsed.zero_()
        self.returns.zero_()
        return self.observe()

    def observe(self) -> Tensor:
        return torch.stack([self.seen, self.elapsed / self.time_limit], 1)

    def step(self, actions: Tensor) -> DeviceStep:
        rewards = -(actions - TARGET).square().sum(1)
        self.elapsed += 1
        self.returns += rewards
        self.seen = torch.randn(self.n_envs, generator=self.noise)
        final = self.observe()
        truncated = self.elapsed >= self.time_limit
        terminated = self.seen > 2
        returns, lengths = self.returns.clone(), self.elapsed.clone()
        finished = truncated | terminated
        self.elapsed.masked_fill_(finished, 0)
        self.returns.masked_fill_(finished, 0.0)
        return DeviceStep(self.observe(), rewards, terminated, truncated, final, returns, lengths)

    def check(self) -> None:
        self.checks += 1

    def state_dict(self) -> dict[str, Any]:
        own = {"elapsed": self.elapsed.clone(), "returns": self.returns.clone(), "seen": self.seen.clone()}
        return {**own, "noise": self.noise.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.elapsed, self.returns, self.seen = (state[name].clone() for name in ("elapsed", "returns", "seen"))
        self.noise.set_state(state["noise"])


def aiming(n_envs: int = 8, time_limit: int = 5) -> SimVecEnv:
    return SimVecEnv("Aim", NumpySim(Aim(n_envs, time_limit)), 0)
