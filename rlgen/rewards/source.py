"""The protocol of reward sources, and the shape of a task that they are built for."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.nn.one_hot import OneHot


@dataclass(frozen=True, kw_only=True)
class TaskShape:
    """Sizes of a task's transitions, the number of environments in a rollout, and the device of its tensors."""

    observation_size: int
    """O, dimension of a flat observation."""
    action_size: int
    """A, dimension of an action; 1 for discrete actions."""
    n_actions: int | None = None
    """Number of discrete actions; None for continuous ones."""
    n_envs: int = 1
    """N, number of environments; rollouts are time-major, [T * N]."""
    device: torch.device | str = "cpu"

    @property
    def encoded_size(self) -> int:
        """Size of an encoded action."""
        return self.action_size if self.n_actions is None else self.n_actions

    def encode(self, actions: Tensor) -> Tensor:
        """Actions [B, A] as network inputs [B, encoded_size]: discrete ones one-hot, continuous ones unchanged."""
        return actions if self.n_actions is None else OneHot((self.n_actions,))(actions)


@runtime_checkable
class RewardSource(Protocol):
    """Rewards transitions and learns from them; a curiosity or a discriminator, for example.

    On-policy, `update` is called once per rollout with the complete batch, then `reward` with the same batch.
    Off-policy, `update` is called with the new transitions every so many steps, and `reward` with every batch that is
    drawn from the replay buffer. Observations are the environment's raw ones; a source keeps any normalization that it
    needs, and only `update` changes it. A source that never reads `next_observations` may set an attribute
    `reads_next_observations = False`: it then also learns where an environment does not report the last observation of
    an episode.
    """

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        """Learns from B transitions; returns named 0-d tensors on the device, for the log."""
        ...

    def reward(self, batch: Transitions) -> Tensor:
        """Reward per step [B], without gradient."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that must survive a resume: networks, optimizers, normalizers, counters."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        ...
