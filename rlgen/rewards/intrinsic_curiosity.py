"""The intrinsic curiosity module (ICM): the error of a forward model in learned features, as a reward source."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from rlgen.data.transitions import Transitions
from rlgen.equations.exploration_bonuses import feature_error
from rlgen.equations.likelihoods import categorical_log_prob
from rlgen.errors import problem
from rlgen.nn.layers import mlp
from rlgen.nn.normalizer import Normalizer
from rlgen.rewards.bonus_unit import Unit
from rlgen.rewards.novelty import Novelty, NoveltyConfig, Predictor
from rlgen.rewards.source import TaskShape


@dataclass(frozen=True, kw_only=True)
class IntrinsicCuriosityConfig(NoveltyConfig):
    """Settings of curiosity in features that predict the action (Pathak et al. 2017, 1705.05363).

    β and Adam's learning rate are the paper's. Differs from it: perceptrons, sized for flat observations.
    """

    own_unit: ClassVar[Unit] = "none"

    hidden: tuple[int, ...] = (64,)
    """Widths of the encoder's hidden layers, between an observation and its features."""
    features: int = 32
    """Number of features of an observation."""
    model_hidden: tuple[int, ...] = (64,)
    """Widths of the hidden layers of the inverse and the forward model."""
    beta: float = 0.2
    """Weight of the forward model's loss; that of the inverse model is 1 - beta."""
    updates_per_rollout: int = 24
    """Gradient steps after each rollout."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.beta < 1:
            remedy = "use e.g. 0.2: at 0 the forward model learns nothing, at 1 the features collapse"
            raise problem("beta between 0 and 1", str(self.beta), remedy)


class IntrinsicCuriosity(Novelty):
    """Rewards ½ ‖φ̂(s') - φ(s')‖², a forward model's error in features φ that are trained by an inverse model.

    The paper's η is the weight of this source in the sum of rewards. As in the paper the bonus is not normalized: it
    has the scale of the features, which the inverse model's loss keeps from shrinking. Learns from the current rollout,
    as in the paper.

    Differs from the paper: observations are normalized by running statistics, because they are not images.
    """

    config: IntrinsicCuriosityConfig

    def __init__(self, shape: TaskShape, config: IntrinsicCuriosityConfig | None = None):
        config = config or IntrinsicCuriosityConfig()
        super().__init__(
            Steps(shape), CuriosityModule(shape, config), config.make_unit(shape.n_envs), config, shape.device
        )


class Steps(nn.Module):
    """(s, a, s') as [B, O], [B, encoded], [B, O]: both observations normalized by the same running statistics,
    continuous actions by their own, discrete actions one-hot."""

    def __init__(self, shape: TaskShape):
        super().__init__()
        self.shape = shape
        self.observations = Normalizer(shape.observation_size)
        self.actions = Normalizer(shape.action_size) if shape.n_actions is None else None
        self.to(shape.device)

    def merge(self, batch: Transitions) -> None:
        self.observations.merge_rollout(torch.cat([batch.observations, batch.next_observations]))
        if self.actions is not None:
            self.actions.merge_rollout(batch.actions)

    def forward(self, batch: Transitions) -> tuple[Tensor, Tensor, Tensor]:
        encoded = self.shape.encode(batch.actions)
        actions = encoded if self.actions is None else self.actions(encoded)
        return self.observations(batch.observations), actions, self.observations(batch.next_observations)


class CuriosityModule(Predictor):
    """Features of observations, the inverse model (φ(s), φ(s')) → a and the forward model (φ(s), a) → φ(s')."""

    def __init__(self, shape: TaskShape, config: IntrinsicCuriosityConfig):
        super().__init__()
        self.kinds, self.beta, features = shape.n_actions is not None, config.beta, config.features
        encoder = mlp([shape.observation_size, *config.hidden, features], nn.ELU)
        self.encoder = nn.Sequential(encoder, nn.ELU())  # the paper has one after the last layer of features as well
        self.inverse = mlp([2 * features, *config.model_hidden, shape.encoded_size], nn.ReLU)
        self.ahead = mlp([features + shape.encoded_size, *config.model_hidden, features], nn.ReLU)

    def forward(self, observations: Tensor, actions: Tensor, next_observations: Tensor) -> Tensor:
        before, after = self.encode(observations, next_observations)
        return feature_error(self.ahead(torch.cat([before, actions], -1)), after)

    def loss(self, observations: Tensor, actions: Tensor, next_observations: Tensor) -> Tensor:
        """(1 - β) L_I + β L_F. Pathak et al. 2017 (1705.05363), eq. 7 without the policy's term.

        L_I is the negative log-likelihood of the action: of a softmax for discrete actions, as in the paper, and of a
        Gaussian of unit variance, without its constant, for continuous ones.
        """
        before, after = self.encode(observations, next_observations)
        inverse = self.inverse(torch.cat([before, after], -1))
        if self.kinds:
            inverse_loss = -categorical_log_prob(actions.argmax(-1), inverse).mean()
        else:
            inverse_loss = feature_error(inverse, actions).mean()
        forward_loss = feature_error(self.ahead(torch.cat([before, actions], -1)), after).mean()
        return (1 - self.beta) * inverse_loss + self.beta * forward_loss

    def encode(self, observations: Tensor, next_observations: Tensor) -> tuple[Tensor, ...]:
        """Features [B, Z] of both observations, in one pass."""
        return self.encoder(torch.cat([observations, next_observations])).chunk(2)
