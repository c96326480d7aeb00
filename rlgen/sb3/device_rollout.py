"""The rollout of a policy as tensors on a device."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.sb3.log import DeviceLog


@dataclass(frozen=True)
class DeviceRollout:
    """T steps of N environments as tensors on one device, overwritten in place by the next rollout."""

    observations: Tensor
    """[T, N, O]: what the policy acted on."""
    next_observations: Tensor
    """[T, N, O]: what the step led to; at the end of an episode its true last observation."""
    actions: Tensor
    """[T, N, A]: as the policy sampled them, possibly beyond the bounds."""
    received: Tensor
    """[T, N, A]: as the environments received them, within their bounds."""
    log_probs: Tensor
    """[T, N]: log-probabilities of `actions`, nats."""
    task_rewards: Tensor
    """[T, N]: rewards of the task."""
    rewards: Tensor
    """[T, N]: rewards that the policy learns from."""
    starts: Tensor
    """[T, N] bool: the step is the first of an episode."""
    terminated: Tensor
    """[T, N] bool."""
    truncated: Tensor
    """[T, N] bool: the time limit ended an episode that the task had not ended."""
    episode_returns: Tensor
    """[T, N]: task return of the episode up to this step, inclusive."""
    episode_lengths: Tensor
    """[T, N] int64."""
    log: DeviceLog = field(default_factory=DeviceLog)
    """Log of the round's numbers."""

    @classmethod
    def empty(cls, steps: int, n_envs: int, observed: int, acted: int, device: torch.device) -> "DeviceRollout":
        """Allocates T = `steps`, N = `n_envs`, O = `observed` and A = `acted`."""

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
        """Writes step t of the named fields."""
        for name, row in rows.items():
            getattr(self, name)[step].copy_(row)

    @property
    def finished(self) -> Tensor:
        """[T, N] bool: the episode ended with this step."""
        return self.terminated | self.truncated

    @property
    def states(self) -> Tensor:
        """[T, N, O]: `observations`, which are never normalized."""
        return self.observations

    def begin(self) -> None:
        """Does nothing: the model itself writes the rollout."""

    def record(self, found: Mapping[str, Any]) -> None:
        """Does nothing, like `begin`."""

    def set_rewards(self, rewards: Tensor) -> None:
        self.rewards.copy_(rewards)

    def bootstrap_time_limits(self) -> None:
        """Does nothing: advantages take V of the state that every step led to, also at a time limit."""

    def compute_advantages(self) -> None:
        """Does nothing: `DevicePPO` computes them when it learns from the rollout."""

    def transitions(self) -> Transitions:
        """All T·N transitions, time-major, as views that the next rollout overwrites."""
        fields = (self.observations, self.received, self.next_observations, self.terminated, self.truncated)
        return Transitions(*(each.flatten(0, 1) for each in fields))
