"""A reward source that tunes its own weight."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from rlgen import distributed
from rlgen.data.transitions import Transitions
from rlgen.display import Metric, Panel
from rlgen.equations.exploration_weight import dual_log_weight
from rlgen.rewards.finite_rows import finite_rows
from rlgen.rewards.replay_pool import ReplayPool
from rlgen.rewards.source import RewardSource

ROWS = 256
"""Random transitions that are compared, and kept, of each update."""
EARLIER = 10
"""Updates whose transitions are compared with the newest."""
STEP_SIZE = 0.2
"""Step size of log η. A transition is compared for 5.5 updates on average: in all, η moves about in inverse proportion
to what changes of the policy make of the gain."""
RANGE = 100.0
"""Largest factor between the weight and its start, up and down."""


class AutomaticWeight:
    """`source` with a `weight` η of its reward that is tuned while it learns; in all else, it is `source`.

    Before each update, the current source rewards new transitions and those of the last updates, and η takes a step
    (`dual_log_weight`): up where the new ones have less reward, so where the policy has turned away from what is new,
    and down where they have more. As one model rewards both, what it learns does not move η, and neither does the unit
    of the reward. η stays between a hundredth and a hundred times its `start`, so that it neither vanishes nor
    explodes, and where it is while any of the rewards has a mean that is not positive.

    Transitions that the source has learned from are a little less new to it than others of the same policy, so η falls
    slowly where the policy does not change. The source must reward any transitions, not only whole rollouts.
    """

    panels: ClassVar[tuple[Panel, ...]] = (Panel("Weight of the bonus", (Metric("eta", "η"),), limits=(0, None)),)

    def __init__(self, source: RewardSource, start: float, device: torch.device | str = "cpu"):
        self.source, self.start = source, start
        self.log_weight = torch.tensor(math.log(start), dtype=torch.float64, device=device)
        self.earlier = ReplayPool(EARLIER * ROWS)

    def weight(self, progress_remaining: float) -> Tensor:
        """η, [], whatever is left of the training."""
        return self.log_weight.exp()

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        new = finite_rows(batch[torch.randint(len(batch), (ROWS,), device=batch.terminated.device)])
        if len(self.earlier):
            self._tune(new)
        self.earlier.add(new)
        return {**self.source.update(batch), "eta": self.weight(1.0)}

    def _tune(self, new: Transitions) -> None:
        """Takes a step of the weight."""
        assert self.earlier.rows is not None
        before = self.earlier.rows[: len(self.earlier)].to(new.terminated.device)
        both = Transitions(*(torch.cat(pair) for pair in zip(new.tensors(), before.tensors(), strict=True)))
        rewards = self.source.reward(both).double().unflatten(0, (-1, ROWS))
        gain, *_ = gains = distributed.all_reduce_mean(rewards.mean(1))  # of the new rows, then of each earlier update
        low, high = math.log(self.start / RANGE), math.log(self.start * RANGE)
        stepped = dual_log_weight(self.log_weight, gain, gains[1:], STEP_SIZE).clamp(low, high)
        comparable = ((gains > 0) & gains.isfinite()).all()
        self.log_weight.copy_(torch.where(comparable, stepped, self.log_weight))

    def reward(self, batch: Transitions) -> Tensor:
        return self.source.reward(batch)

    def state_dict(self) -> dict[str, Any]:
        return {
            "source": self.source.state_dict(),
            "log_weight": self.log_weight,
            "earlier": self.earlier.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.source.load_state_dict(state["source"])
        self.log_weight.copy_(state["log_weight"])
        self.earlier.load_state_dict(state["earlier"])
