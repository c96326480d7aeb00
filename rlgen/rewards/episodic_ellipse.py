"""Elliptical bonus: how new a state is in its episode."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rlgen.checks import positive
from rlgen.data.transitions import Transitions
from rlgen.display import Panel
from rlgen.equations.exploration_bonuses import elliptical_bonus
from rlgen.nn.normalizer import Normalizer
from rlgen.rewards.bonus import RolloutBonus
from rlgen.rewards.bonus_unit import BONUS, Unit, UnitConfig, quantile_metrics, quantiles
from rlgen.rewards.finite_rows import finite_rows
from rlgen.rewards.source import TaskShape


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


class EpisodicEllipse(nn.Module, RolloutBonus):
    """Rewards φᵀ C⁻¹ φ for the next observation φ, C the sum of φ φᵀ over its episode: what is new in this episode,
    whatever earlier ones have seen. Henaff et al. 2022 (2210.05805).

    For on-policy models, whose batches hold whole rollouts; the sums go on from one to the next.

    Differs from the paper: φ are the observed numbers themselves, normalized and with a constant, instead of features
    of an inverse model, because observations are not images. Choose few numbers that matter.
    """

    panels: ClassVar[tuple[Panel, ...]] = (BONUS,)
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
        ended, learned = self.episode_ends(batch), finite_rows(batch)
        self.observations.merge_rollout(learned.next_observations)
        seen = self.observations(learned.next_observations)
        features = torch.cat([seen, torch.ones_like(seen[:, :1])], 1).unflatten(0, (-1, self.n_envs))
        start, found = self._start(features.shape[2]).to(self.inverse), []
        for of_step, over in zip(features, ended, strict=True):
            bonus, after = elliptical_bonus(self.inverse, of_step)
            found.append(bonus)
            self.inverse.copy_(torch.where(over[:, None, None], start, after))
        return quantile_metrics("bonus", quantiles(self.keep(batch, torch.cat(found))))

    def load_state_dict(self, state: Any, *arguments: Any, **more: Any) -> None:  # type: ignore[override]
        super().load_state_dict(state, *arguments, **more)
        self.forget()
