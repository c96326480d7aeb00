"""Bonus of the first visit that an episode makes to a place."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlgen.checks import at_least
from rlgen.data.transitions import Transitions
from rlgen.equations.exploration_bonuses import first_visit_bonus
from rlgen.rewards.bonus import RolloutBonus
from rlgen.rewards.counts import StateCounts, StateCountsConfig
from rlgen.rewards.finite_rows import finite_rows
from rlgen.rewards.source import TaskShape

EPISODE_BITS = 14
"""Bits of a cell's number within an episode, which visits far fewer cells than all episodes do."""


@dataclass(frozen=True, kw_only=True)
class FirstVisitCountsConfig(StateCountsConfig):
    """Settings of the bonus of an episode's first visits (Zhang et al. 2020, BeBold, 2012.08621)."""

    width: float = 0.3
    """Width of a cell along each observed number, in standard deviations of the first rollout; `floor` adds to them."""
    power: float = 0.5
    """Power of the visits of all episodes that divides the bonus. With 0 every cell that is new in the episode is worth
    the same, however often earlier ones have been there: a policy then keeps the first direction that it finds."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "power")


class FirstVisitCounts(RolloutBonus, StateCounts):
    """Rewards n^-power for the next observation where its episode visits that cell for the first time, else nothing; n
    is the number of visits in all episodes. Zhang et al. 2020 (BeBold, 2012.08621), eq. 4.

    Standing still earns nothing and going far earns most, in each episode again. For on-policy models, whose batches
    hold whole rollouts; episodes go on from one to the next. Choose few numbers to observe: of many all are new.

    Differs from the paper: it restricts a difference of inverse counts, this restricts the bonus of counts.
    """

    config: FirstVisitCountsConfig
    visited: Tensor

    def __init__(self, shape: TaskShape, config: FirstVisitCountsConfig | None = None):
        super().__init__(shape, config or FirstVisitCountsConfig())
        self.n_envs = shape.n_envs
        self.register_buffer(
            "visited", torch.zeros(shape.n_envs, 2**EPISODE_BITS, dtype=torch.bool, device=shape.device)
        )

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        self.episode_ends(batch)  # refuses a batch that is no rollout before it is counted
        return super().update(batch)

    def _of_rollout(self, batch: Transitions) -> Tensor:
        cells = self._cells(finite_rows(batch).next_observations)
        first = self._first_in_episode(cells % self.visited.shape[1], batch)
        return first_visit_bonus(self.counts[cells], first, self.config.power)

    def _first_in_episode(self, cells: Tensor, batch: Transitions) -> Tensor:
        """Whether the episode of each transition of a rollout visits its cell for the first time, [B]."""
        ends = self.episode_ends(batch)
        episodes = ends.cumsum(0) - ends.long()  # the number of each step's episode within the rollout
        environments = torch.arange(self.n_envs, device=cells.device).expand_as(ends).flatten()
        ongoing = (episodes == ends.sum(0)).flatten()  # in the episode that goes on after the rollout
        visits = (episodes.flatten() * self.n_envs + environments) * self.visited.shape[1] + cells
        kinds, order = visits.sort(stable=True)
        first = torch.ones_like(ongoing)
        first[order[1:]] = kinds[1:] != kinds[:-1]
        first &= ~((episodes == 0).flatten() & self.visited[environments, cells])
        self.visited &= ~ends.any(0)[:, None]
        places, bytes_of = environments * self.visited.shape[1] + cells, self.visited.view(torch.uint8).view(-1)
        bytes_of.scatter_reduce_(0, places, ongoing.to(torch.uint8), "amax")  # no boolean index: it would wait
        return first
