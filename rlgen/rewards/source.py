"""Reward sources: the protocol, and the task's shape that they are made for."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from rlgen.data.transitions import Transitions


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


@runtime_checkable
class RewardSource(Protocol):
    """Curiosity, a discriminator: pays for transitions and learns from them.

    On-policy, `update` is called once per rollout with the whole batch, then `reward` of the same; off-policy, `update`
    with the new transitions every so many steps, and `reward` of whatever is drawn from the replay buffer. Observations
    arrive as the environment gave them, and whatever normalisation the source needs it keeps itself; only `update`
    changes it. A source that never reads `next_observations` may say so by an attribute `reads_next_observations =
    False`: it then learns where an environment does not tell the last observation of an episode.
    """

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Learn from B transitions; returns named 0-d tensors on the device, for the log."""
        ...

    def reward(self, batch: Transitions) -> Tensor:
        """Reward per step [B], without gradient."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that must survive a resume: networks, optimisers, normalisers, counters."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...
