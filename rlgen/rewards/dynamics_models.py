"""The prediction error of a dynamics model, VIME's baseline, and the disagreement of several, as reward sources."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from rlgen.checks import at_least
from rlgen.equations.exploration_bonuses import disagreement, prediction_error
from rlgen.nn.layers import EnsembleMLP, mlp
from rlgen.rewards.bonus_unit import Unit
from rlgen.rewards.novelty import DynamicsConfig, NormalisedTransitions, Novelty, PooledNovelty, Predictor
from rlgen.rewards.source import TaskShape


@dataclass(frozen=True, kw_only=True)
class PredictionErrorConfig(DynamicsConfig):
    """Settings of a dynamics model whose error is the bonus (Stadie, Levine & Abbeel 2015, 1507.00814)."""

    own_unit: ClassVar[Unit] = "largest"

    hidden: tuple[int, ...] = (64, 64)
    """Widths of the model's hidden layers."""
    pool_size: int = 100_000
    """Number of past transitions to learn from."""


class PredictionError(PooledNovelty):
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
        view = NormalisedTransitions(shape, config.predicts)
        networks = DynamicsModel([view.input_size, *config.hidden, shape.observation_size])
        super().__init__(view, networks, config.make_unit(shape.n_envs), config, config.pool_size, shape.device)


class DynamicsModel(Predictor):
    """Predicts normalized next observations [B, O] from normalized inputs (s, a) [B, I]."""

    def __init__(self, sizes: list[int]):
        super().__init__()
        self.model = mlp(sizes, nn.ReLU)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return prediction_error(self.model(inputs), targets)

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self(inputs, targets).mean()


@dataclass(frozen=True, kw_only=True)
class EnsembleDisagreementConfig(DynamicsConfig):
    """Settings of an ensemble of dynamics models (Pathak et al. 2019, 1906.04161).

    Differs from the paper: one hidden layer, because observations are not images, and a learning rate of 3e-4 instead
    of 1e-4, because trainings last a million steps and not a hundred million.
    """

    own_unit: ClassVar[Unit] = "returns"

    learning_rate: float = 3e-4
    """Adam's learning rate."""
    hidden: tuple[int, ...] = (64,)
    """Widths of each model's hidden layers."""
    members: int = 5
    """Number of models."""
    batch_size: int = 128
    """Transitions per gradient step of each model; each draws its own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 2, "members", remedy="leave it out for the default: one model cannot disagree")


class EnsembleDisagreement(Novelty):
    """Rewards the variance, over an ensemble, of the predicted next observation; it never reads the actual one.

    The models start from different weights and each draws its own transitions, with replacement, from the current
    rollout, as in the paper. The bonus is divided by the running standard deviation of its discounted sums, as in the
    released code. Inputs and targets are normalized as for VIME.

    Differs from the paper: the models predict observations, each component normalized to unit variance, instead of
    features of a random or pretrained network, because observations are not images. The policy does not learn through
    the models' gradients.
    """

    config: EnsembleDisagreementConfig

    def __init__(self, shape: TaskShape, config: EnsembleDisagreementConfig | None = None):
        config = config or EnsembleDisagreementConfig()
        view = NormalisedTransitions(shape, config.predicts)
        networks = DynamicsEnsemble(config.members, [view.input_size, *config.hidden, shape.observation_size])
        super().__init__(view, networks, config.make_unit(shape.n_envs), config, shape.device)

    @property
    def rows_per_step(self) -> int:
        return self.config.members * self.config.batch_size


class DynamicsEnsemble(Predictor):
    """Models that each predict normalized next observations from normalized inputs (s, a)."""

    def __init__(self, members: int, sizes: list[int]):
        super().__init__()
        self.models = EnsembleMLP(members, sizes)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return disagreement(self.models(inputs))

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Squared error, averaged over models and rows; each model gets an equal part [B, I] of the rows [E * B, I]."""
        own_inputs, own_targets = (rows.unflatten(0, (self.models.members, -1)) for rows in (inputs, targets))
        return prediction_error(self.models(own_inputs), own_targets).mean()
