"""Bonus of pseudo-counts: how seldom a state was visited, by the gain of a density model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rlgen import distributed
from rlgen.checks import at_least
from rlgen.data.transitions import Transitions
from rlgen.equations.exploration_bonuses import count_bonus, curvature, natural_gain, pseudo_count
from rlgen.nn.binned_density import BinnedDensity
from rlgen.rewards.novelty import NoveltyConfig, PooledNovelty, Predictor
from rlgen.rewards.random_network_distillation import Arrivals
from rlgen.rewards.source import TaskShape

CURVATURE_ROWS = 2048
"""Past states by which the curvature of the log-likelihood is estimated."""
ROWS_AT_ONCE = 1024
"""Rows whose outer products of features are in memory at a time."""


@dataclass(frozen=True, kw_only=True)
class DensityCountsConfig(NoveltyConfig):
    """Settings of pseudo-counts (Bellemare et al. 2016, 1606.01868; Ostrovski et al. 2017, 1703.01310)."""

    learning_rate: float = 1e-2
    """Adam's learning rate."""
    hidden: tuple[int, ...] = (64, 16)
    """Widths of the density model's hidden layers. Time and memory grow with the square of the last one."""
    bins: int = 32
    """Number of values into which the density model divides each observed number."""
    clip: float = 5.0
    """Limit of the bins, in standard deviations of the observed number. All beyond it is in the outermost bin."""
    scale: float = 0.1
    """Factor of the prediction gain, above 0. Pseudo-counts are about the inverse of the product, so that a smaller
    factor makes states count as known sooner."""
    prior: float = 1.0
    """Precision of the prior of the density model's last layer, in visits, above 0; a larger one makes states that were
    never visited less new."""
    pool_size: int = 100_000
    """Number of past transitions to learn from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 2, "bins")


class DensityCounts(PooledNovelty):
    """Rewards 1/√N̂ for the next observation, N̂ the pseudo-count of a density model of all states so far, and 1 where
    N̂ is below 1. Bellemare et al. 2016 (1606.01868), section 4.

    The density model is a softmax over the bins of each observed number given those before it, and learns from a pool
    of the past. Choose few numbers to observe: each adds its own prediction gain.

    Differs from Ostrovski et al. 2017 (1703.01310): the step whose gain counts is a natural one of size 1/n of the last
    layer, in closed form for the rollout (`natural_gain`). Images reach it as random features: with a PixelCNN, every
    image needs a gradient summed over its pixels, which is too expensive on a CPU.
    """

    config: DensityCountsConfig
    networks: "VisitedDensity"

    def __init__(self, shape: TaskShape, config: DensityCountsConfig | None = None):
        config = config or DensityCountsConfig()
        view = Arrivals(shape.observation_size, config.clip).to(shape.device)
        networks = VisitedDensity(shape.observation_size, config)
        super().__init__(view, networks, config.make_unit(shape.n_envs), config, config.pool_size, shape.device)

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        logged = super().update(batch)
        self.networks.visits += len(batch) * distributed.world_size()
        (rows,) = self.view(self.pool.draw(CURVATURE_ROWS))
        self.networks.measure(rows)
        return logged


class VisitedDensity(Predictor):
    """The density of visited states, whitened [B, O], and the curvature of its log-likelihood."""

    visits: Tensor
    inverse: Tensor

    def __init__(self, observation_size: int, config: DensityCountsConfig):
        super().__init__()
        self.scale, self.prior = config.scale, config.prior
        self.density = BinnedDensity(observation_size, config.hidden, config.bins, config.clip)
        self.register_buffer("visits", torch.zeros(()))
        none = torch.eye(config.hidden[-1] + 1) / config.prior
        self.register_buffer("inverse", none.repeat(observation_size, config.bins, 1, 1))

    def forward(self, rows: Tensor) -> Tensor:
        return count_bonus(self.counts(rows))

    def counts(self, rows: Tensor) -> Tensor:
        """Pseudo-counts [B]."""
        gains = [natural_gain(*self.density.last_layer(some)[1:], self.inverse) for some in rows.split(ROWS_AT_ONCE)]
        return pseudo_count(torch.cat(gains), self.scale)

    def loss(self, rows: Tensor) -> Tensor:
        return -self.density.log_prob(rows).mean()

    @torch.no_grad()
    def measure(self, rows: Tensor) -> None:
        """Computes the curvature of the log-likelihood of all visits from that of `rows` [B, O]."""
        probs, _, features = self.density.last_layer(rows)
        total = self.visits * curvature(probs, features)
        total.diagonal(dim1=-2, dim2=-1).add_(self.prior)
        factor, _ = torch.linalg.cholesky_ex(total)  # without a check, which would wait for the device
        self.inverse.copy_(torch.cholesky_inverse(factor))
