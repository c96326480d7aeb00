"""Demonstrated transitions as rows of a replay buffer, to be mixed into what an off-policy model samples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import Tensor

from rlgen.data import observations as tree
from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.sb3.policy_inputs import PolicyInputs


@dataclass
class ExpertRows:
    """`share` of each minibatch that `model` samples comes from the demonstrated `rows`, with the rewards [B] that
    `reward` gives to such rows."""

    model: OffPolicyAlgorithm
    rows: Transitions[Any]
    reward: Callable[[Transitions[Any]], Tensor]
    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise problem("a share of demonstrated rows of at least 0 and below 1", str(self.share), "use e.g. 0.5")
        self.inputs = PolicyInputs(self.model)
        self.actions = stored_actions(self.rows.actions, self.model)

    def count(self, batch_size: int) -> int:
        """Number of demonstrated rows in a minibatch."""
        return round(self.share * batch_size)

    def join(self, own: ReplayBufferSamples, n: int) -> ReplayBufferSamples:
        """The sampled rows `own` and `n` random demonstrated ones."""
        places = torch.from_numpy(np.random.randint(0, len(self.rows), n))  # noqa: NPY002, as SB3's buffers draw
        places = places.to(self.actions.device)
        chosen = self.rows[places]
        expert = (
            self.inputs(chosen.observations),
            self.actions[places],
            self.inputs(chosen.next_observations),
            chosen.terminated.float()[:, None],
            self.reward(chosen)[:, None],
            None if own.discounts is None else torch.full((n, 1), self.model.gamma, device=own.rewards.device),
        )
        columns: Any = zip(own, expert, strict=True)
        kind: Any = type(own)  # that of a dictionary, if observations are one
        return kind(*(None if mine is None else tree.each_entry(_joined, mine, theirs) for mine, theirs in columns))


def _joined(mine: Tensor, theirs: Tensor) -> Tensor:
    return torch.cat([mine, theirs.to(mine.dtype).reshape(-1, *mine.shape[1:])])


def stored_actions(actions: Tensor, model: OffPolicyAlgorithm) -> Tensor:
    """Actions [B, A] as the environment received them, as a replay buffer of `model` stores them: bounded ones scaled
    to [-1, 1]."""
    if not isinstance(model.action_space, spaces.Box):
        return actions
    scaled = model.policy.scale_action(actions.cpu().numpy().reshape(-1, *model.action_space.shape))
    return torch.as_tensor(scaled, dtype=torch.float32, device=actions.device).reshape(actions.shape)
