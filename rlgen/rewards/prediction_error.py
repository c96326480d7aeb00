"""The prediction error of a dynamics model, as a reward source: the baseline of VIME."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from rlgen import distributed
from rlgen.data.transitions import Transitions
from rlgen.equations.exploration_bonuses import prediction_error
from rlgen.nn.layers import mlp
from rlgen.rewards.bonus_unit import LargestSoFar
from rlgen.rewards.novelty import Novelty, NoveltyConfig, Predictor
from rlgen.rewards.replay_pool import NormalisedTransitions, ReplayPool
from rlgen.rewards.source import TaskShape


@dataclass(frozen=True, kw_only=True)
class PredictionErrorConfig(NoveltyConfig):
    """Settings of a dynamics model whose error is the bonus (Stadie, Levine & Abbeel 2015, 1507.00814)."""

    hidden: tuple[int, ...] = (64, 64)
    """Widths of the model's hidden layers."""
    pool_size: int = 100_000
    """Number of past transitions to learn from."""


class PredictionError(Novelty):
    """Rewards the squared error of a model's prediction of the next observation, as a fraction of the largest so far.

    The division by the largest error is that of Stadie et al. 2015. The one of Houthooft et al. 2016 (1605.09674), who
    compare such a bonus with VIME, is not known, since their released code does not contain the comparison. Inputs and
    targets are normalized as for VIME, and the model learns from a pool of the past like VIME's and that of Stadie et
    al.

    Differs from Stadie et al.: predicts observations, each component normalized to unit variance, instead of an
    autoencoder's features, because they are not images; the bonus does not decrease with 1/t here, because the weight
    of a reward source may decrease with the steps. Differs from Houthooft et al.: an ordinary model instead of a
    Bayesian one, because only its error is needed.
    """

    config: PredictionErrorConfig

    def __init__(self, shape: TaskShape, config: PredictionErrorConfig | None = None):
        config = config or PredictionErrorConfig()
        view = NormalisedTransitions(shape)
        networks = DynamicsModel([view.input_size, *config.hidden, shape.observation_size])
        super().__init__(view, networks, LargestSoFar(), config, shape.device)
        self.pool = ReplayPool(-(-config.pool_size // distributed.world_size()))

    def draw(self, batch: Transitions, n: int) -> Transitions:
        """`n` transitions from the pool, after adding the rollout `batch` to it."""
        self.pool.add(batch)
        return self.pool.draw(n)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "pool": self.pool.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.pool.load_state_dict(state["pool"])


class DynamicsModel(Predictor):
    """Predicts normalized next observations [B, O] from normalized inputs (s, a) [B, I]."""

    def __init__(self, sizes: list[int]):
        super().__init__()
        self.model = mlp(sizes, nn.ReLU)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return prediction_error(self.model(inputs), targets)

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self(inputs, targets).mean()
