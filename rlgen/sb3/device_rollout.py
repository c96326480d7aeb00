"""What a policy collected, as tensors of a device."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.sb3.log import DeviceLog


@dataclass(frozen=True)
class DeviceRollout:
    """T steps of N worlds as tensors of one device, written in place from rollout to rollout."""

    observations: Tensor
    """[T, N, O]: what the policy acted on."""
    next_observations: Tensor
    """[T, N, O]: what the step led to, at an episode's end its true last observation."""
    actions: Tensor
    """[T, N, A]: as the policy drew them, beyond the bounds where it did."""
    received: Tensor
    """[T, N, A]: as the worlds received them, within their bounds."""
    log_probs: Tensor
    """[T, N]: of `actions`, nats."""
    task_rewards: Tensor
    """[T, N]: what the task pays."""
    rewards: Tensor
    """[T, N]: what the policy learns from."""
    starts: Tensor
    """[T, N] bool: the step is an episode's first."""
    terminated: Tensor
    """[T, N] bool."""
    truncated: Tensor
    """[T, N] bool: the time limit came and the task was not over."""
    episode_returns: Tensor
    """[T, N]: the task's rewards of the episode up to and with the step."""
    episode_lengths: Tensor
    """[T, N] int64."""
    log: DeviceLog = field(default_factory=DeviceLog)
    """The numbers of the round."""

    @classmethod
    def empty(cls, steps: int, n_envs: int, observed: int, acted: int, device: torch.device) -> "DeviceRollout":
        """Room for T = `steps`, N = `n_envs`, O = `observed` and A = `acted`."""

        def room(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(steps, n_envs, *shape, dtype=dtype, device=device)

        return cls(
            observations=room(observed),
            next_observations=room(observed),
            actions=room(acted),
            received=room(acted),
            log_probs=room(),
            task_rewards=room(),
            rewards=room(),
            starts=room(dtype=torch.bool),
            terminated=room(dtype=torch.bool),
            truncated=room(dtype=torch.bool),
            episode_returns=room(),
            episode_lengths=room(dtype=torch.int64),
        )

    def write(self, step: int, **rows: Tensor) -> None:
        """Fill step t of the named fields."""
        for name, row in rows.items():
            getattr(self, name)[step].copy_(row)

    @property
    def finished(self) -> Tensor:
        """[T, N] bool: the episode ended with the step."""
        return self.terminated | self.truncated

    @property
    def states(self) -> Tensor:
        """[T, N, O]: `observations`, which nothing normalises on the way."""
        return self.observations

    def begin(self) -> None:
        """Nothing: the model itself writes the rollout."""

    def record(self, found: Mapping[str, Any]) -> None:
        """Nothing, either."""

    def set_rewards(self, rewards: Tensor) -> None:
        self.rewards.copy_(rewards)

    def bootstrap_time_limits(self) -> None:
        """Does nothing: advantages take V of the state that every step led to, also at a time limit."""

    def compute_advantages(self) -> None:
        """Does nothing: `DevicePPO` computes them when it learns from the rollout."""

    def transitions(self) -> Transitions:
        """All as T·N transitions, time-major. Views, that the next rollout writes over."""
        fields = (self.observations, self.received, self.next_observations, self.terminated, self.truncated)
        return Transitions(*(each.flatten(0, 1) for each in fields))
