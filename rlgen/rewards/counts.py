"""Bonuses of counted states: how seldom a state was visited in all episodes, and how new it is in its own."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rlgen import distributed
from rlgen.checks import at_least, positive
from rlgen.data.transitions import Transitions
from rlgen.display import Panel
from rlgen.equations.exploration_bonuses import count_bonus, elliptical_bonus
from rlgen.errors import problem
from rlgen.nn.normalizer import Normalizer
from rlgen.rewards.bonus import Bonus
from rlgen.rewards.bonus_unit import BONUS, Unit, UnitConfig, quantile_metrics, quantiles
from rlgen.rewards.finite_rows import finite_rows
from rlgen.rewards.source import TaskShape

MOST_BITS, FARTHEST = 24, 1e6


@dataclass(frozen=True, kw_only=True)
class StateCountsConfig(UnitConfig):
    """Settings of counts of states (Tang et al. 2017, #Exploration, 1611.04717)."""

    width: float = 0.5
    """Width of a cell along each observed number, in standard deviations of the first rollout."""
    bits: int = 18
    """Bits of a cell's number: there are counts for 2^bits cells, and more cells share some."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "width")
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
        self.observations = Normalizer(shape.observation_size, clip=FARTHEST)
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
        bonus = self.keep(batch, self.novelty(batch))
        return {"cells": (self.counts > 0).sum(), **quantile_metrics("bonus", quantiles(bonus))}

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


@dataclass(frozen=True, kw_only=True)
class EpisodicEllipseConfig(UnitConfig):
    """Settings of the elliptical bonus of an episode (Henaff et al. 2022, E3B, 2210.05805)."""

    own_unit: ClassVar[Unit] = "medians"

    ridge: float = 0.1
    """Variance of every direction before an episode starts, in units of the observations' variance."""
    highest: float | None = 10.0
    """Upper limit of the bonus in its unit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "ridge")


class EpisodicEllipse(nn.Module, Bonus):
    """Rewards φᵀ C⁻¹ φ for the next observation φ, C the sum of φ φᵀ over its episode: what is new in this episode,
    whatever earlier ones have seen. Henaff et al. 2022 (2210.05805).

    For on-policy models, whose batches hold whole rollouts; the sums go on from one to the next.

    Differs from the paper: φ are the observed numbers themselves, normalized and with a constant, instead of features
    of an inverse model, because observations are not images. Choose few numbers that matter.
    """

    panels: ClassVar[tuple[Panel, ...]] = (BONUS,)
    needs_rollouts: ClassVar[bool] = True
    inverse: Tensor

    def __init__(self, shape: TaskShape, config: EpisodicEllipseConfig | None = None):
        super().__init__()
        self.config, self.n_envs = config or EpisodicEllipseConfig(), shape.n_envs
        self.observations = Normalizer(shape.observation_size)
        size = shape.observation_size + 1
        self.register_buffer("inverse", self._start(size).repeat(shape.n_envs, 1, 1))
        self.unit = self.config.make_unit(shape.n_envs)
        self.to(shape.device)

    def _start(self, size: int) -> Tensor:
        return torch.eye(size) / self.config.ridge

    @torch.no_grad()
    def update(self, batch: Transitions) -> dict[str, Tensor]:
        if len(batch) % self.n_envs:
            got = f"a batch of {len(batch)} for {self.n_envs} environments"
            raise problem("whole rollouts, as of an on-policy model", got, "use another curiosity with this model")
        learned = finite_rows(batch)
        self.observations.merge_rollout(learned.next_observations)
        seen = self.observations(learned.next_observations)
        features = torch.cat([seen, torch.ones_like(seen[:, :1])], 1).unflatten(0, (-1, self.n_envs))
        ended = (batch.terminated | batch.truncated).unflatten(0, (-1, self.n_envs))
        start, found = self._start(features.shape[2]).to(self.inverse), []
        for of_step, over in zip(features, ended, strict=True):
            bonus, after = elliptical_bonus(self.inverse, of_step)
            found.append(bonus)
            self.inverse.copy_(torch.where(over[:, None, None], start, after))
        return quantile_metrics("bonus", quantiles(self.keep(batch, torch.cat(found))))

    def novelty(self, batch: Transitions) -> Tensor:
        """Raises `InputError`: what is new in an episode is known of the rollout of the last `update` alone."""
        expected, got = "the rollout that it was updated with, as of an on-policy model", f"others, {len(batch)}"
        raise problem(expected, got, "use PPO or TRPO, or another curiosity")

    def load_state_dict(self, state: Any, *arguments: Any, **more: Any) -> None:  # type: ignore[override]
        super().load_state_dict(state, *arguments, **more)
        self.forget()
