"""Random network distillation (RND): the error of imitating a fixed random network, as a reward source."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from rlgen.data.transitions import Transitions
from rlgen.equations.exploration_bonuses import distillation_error
from rlgen.nn.layers import mlp
from rlgen.nn.normalizer import Normalizer
from rlgen.rewards.bonus_unit import Unit
from rlgen.rewards.novelty import Novelty, NoveltyConfig, Predictor
from rlgen.rewards.source import TaskShape


@dataclass(frozen=True, kw_only=True)
class RandomNetworkDistillationConfig(NoveltyConfig):
    """Settings of random network distillation (Burda et al. 2018, 1810.12894).

    Adam's learning rate and the discount are the paper's. As in the paper, each transition of a rollout of 5,000 is
    learned from about once: a predictor that learns much faster leaves no bonus within a few rollouts, because the
    normalization of the bonus remembers the first ones. Differs from the paper: perceptrons, sized for flat
    observations.
    """

    own_unit: ClassVar[Unit] = "returns"

    learning_rate: float = 1e-4
    """Adam's learning rate."""
    updates_per_rollout: int = 20
    """Gradient steps after each rollout."""
    target_hidden: tuple[int, ...] = (64,)
    """Widths of the hidden layers of the fixed network."""
    predictor_hidden: tuple[int, ...] = (64, 64, 64)
    """Widths of the predictor's hidden layers: the paper gives it two more than the fixed network."""
    features: int = 64
    """Number of outputs of the fixed network, which the predictor learns."""
    clip: float = 5.0
    """Limit of whitened observations, in standard deviations."""


class RandomNetworkDistillation(Novelty):
    """Rewards the squared error of a predictor against a fixed random network, both on the next observation.

    Observations are whitened by running statistics and clipped; the bonus is divided by the running standard deviation
    of its discounted sums, which do not end with episodes. Learns from the current rollout, as in the paper.

    Differs from the paper: the statistics of observations start with the first rollout instead of a random agent's
    steps before it, and include the rollout that is rewarded, because otherwise the first could not be whitened.
    """

    config: RandomNetworkDistillationConfig

    def __init__(self, shape: TaskShape, config: RandomNetworkDistillationConfig | None = None):
        config = config or RandomNetworkDistillationConfig()
        view = Arrivals(shape.observation_size, config.clip).to(shape.device)
        networks = Distillation(shape.observation_size, config)
        super().__init__(view, networks, config.make_unit(shape.n_envs), config, shape.device)


class Arrivals(nn.Module):
    """Next observations, whitened: ([B, O],)."""

    FLOOR = 1e-4  # of the standard deviation: components that never change must not become noise

    def __init__(self, observation_size: int, clip: float):
        super().__init__()
        self.observations = Normalizer(observation_size, clip, self.FLOOR)

    def merge(self, batch: Transitions) -> None:
        self.observations.merge_rollout(batch.next_observations)

    def forward(self, batch: Transitions) -> tuple[Tensor]:
        return (self.observations(batch.next_observations),)


class Distillation(Predictor):
    """A fixed random network and a predictor that learns to imitate it, with the released code's initial weights."""

    def __init__(self, observation_size: int, config: RandomNetworkDistillationConfig):
        super().__init__()
        self.target = self._random([observation_size, *config.target_hidden, config.features]).requires_grad_(False)
        self.predictor = self._random([observation_size, *config.predictor_hidden, config.features])

    def forward(self, observations: Tensor) -> Tensor:
        return distillation_error(self.predictor(observations), self.target(observations))

    def loss(self, observations: Tensor) -> Tensor:
        return self(observations).mean()

    @staticmethod
    def _random(sizes: list[int]) -> nn.Sequential:
        """Orthogonal weights, which preserve the variance of signals: the default ones make the target almost flat."""
        network = mlp(sizes, nn.LeakyReLU)
        for layer in network:
            if isinstance(layer, nn.Linear):
                nn.init.orthogonal_(layer.weight, 2**0.5)
                nn.init.zeros_(layer.bias)
        return network
