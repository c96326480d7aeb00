"""Bonus of counted states: how seldom a state was visited."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rlgen import distributed
from rlgen.checks import at_least, positive
from rlgen.data.transitions import Transitions
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.display import Panel
from rlgen.equations.exploration_bonuses import count_bonus
from rlgen.errors import problem
from rlgen.nn.normalizer import FLOOR, Normalizer
from rlgen.rewards.bonus import Bonus
from rlgen.rewards.bonus_unit import BONUS, UnitConfig, quantile_metrics, quantiles
from rlgen.rewards.finite_rows import finite_rows
from rlgen.rewards.source import TaskShape

MOST_BITS, FARTHEST = 24, 1e6


@dataclass(frozen=True, kw_only=True)
class StateCountsConfig(UnitConfig):
    """Settings of counts of states (Tang et al. 2017, #Exploration, 1611.04717)."""

    width: float = 0.5
    """Width of a cell along each observed number, in standard deviations of the first rollout; `floor` adds to them."""
    floor: float = field(default=FLOOR, metadata=UNLESS_DEFAULT)
    """What is added to each standard deviation, as a fraction of the median one of the observed numbers, above 0. It
    keeps numbers that hardly vary in the first rollout from making every state new; with the default, a number that
    varies a hundred times less than the median has a third of the cells that its own deviation gives."""
    bits: int = 18
    """Bits of a cell's number: there are counts for 2^bits cells, and more cells share some."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "width", "floor")
        at_least(self, 1, "bits")
        if self.bits > MOST_BITS:
            raise problem(f"bits of at most {MOST_BITS}", str(self.bits), "use e.g. 18: each bit doubles the memory")


class StateCounts(nn.Module, Bonus):
    """Rewards 1/√n for the next observation, n the number of visits to its cell so far. Tang et al. 2017 (1611.04717),
    section 2.1, static hashing.

    Choose few numbers to observe: of many, every state is new.

    Differs from the paper: cells are boxes in normalized observations, by the statistics of the first rollout, instead
    of signs of random projections, which do not tell near from far along a line.
    """

    panels: ClassVar[tuple[Panel, ...]] = (BONUS,)
    factors: Tensor
    counts: Tensor

    def __init__(self, shape: TaskShape, config: StateCountsConfig | None = None):
        super().__init__()
        self.config = config or StateCountsConfig()
        self.observations = Normalizer(shape.observation_size, clip=FARTHEST, floor=self.config.floor)
        self.register_buffer("factors", 2 * torch.randint(2**30, (shape.observation_size,)) + 1)
        self.register_buffer("counts", torch.zeros(2**self.config.bits))
        self.unit = self.config.make_unit(shape.n_envs)
        self.first = True
        """Whether nothing is counted yet."""
        self.to(shape.device)

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        arrived = finite_rows(batch).next_observations
        if self.first:  # and never again: other statistics would move the cells
            self.observations.merge_rollout(arrived)
            self.first = False
        cells = distributed.all_gather(self._cells(arrived))
        self.counts.index_add_(0, cells, torch.ones_like(cells, dtype=self.counts.dtype))
        bonus = self.keep(batch, self._of_rollout(batch))
        return {"cells": (self.counts > 0).sum(), **quantile_metrics("bonus", quantiles(bonus))}

    def _of_rollout(self, batch: Transitions) -> Tensor:
        """Novelty of the transitions that were just counted, [B]."""
        return self.novelty(batch)

    @torch.no_grad()
    def novelty(self, batch: Transitions) -> Tensor:
        """1/√n of each transition's next observation, [B]."""
        return count_bonus(self.counts[self._cells(batch.next_observations)])

    def _cells(self, observations: Tensor) -> Tensor:
        """Number [B] of each observation's cell."""
        places = (self.observations(observations) / self.config.width).nan_to_num().floor().long()
        mixed = (places * self.factors).sum(-1)
        return (mixed ^ (mixed >> 17)) % len(self.counts)

    def load_state_dict(self, state: Any, *arguments: Any, **more: Any) -> None:  # type: ignore[override]
        super().load_state_dict(state, *arguments, **more)
        self.first = not bool(self.counts.any())
        self.forget()
