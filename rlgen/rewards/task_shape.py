"""What a reward source must know of a task before it sees any of it, and how actions enter a network."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class TaskShape:
    """Sizes of a task's transitions, how many environments a rollout interleaves, and the device they come on."""

    observation_size: int
    """O, numbers of a flat observation."""
    action_size: int
    """A, numbers of an action; 1 where actions are kinds."""
    n_actions: int | None = None
    """Number of kinds of a discrete action space; None where actions are numbers."""
    n_envs: int = 1
    """N: rollouts come time-major, [T * N]."""
    device: torch.device | str = "cpu"

    @property
    def encoded_size(self) -> int:
        """Numbers of an encoded action."""
        return self.action_size if self.n_actions is None else self.n_actions

    def encode(self, actions: Tensor) -> Tensor:
        """Actions [B, A] as a network takes them [B, encoded_size]: kinds one-hot, numbers as they are."""
        if self.n_actions is None:
            return actions
        return F.one_hot(actions.flatten().long(), self.n_actions).float()
