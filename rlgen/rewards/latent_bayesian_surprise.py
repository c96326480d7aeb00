"""Latent Bayesian surprise: how far the next observation changes a latent belief, as a reward source."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from rlgen.equations.gaussians import kl_gaussian
from rlgen.equations.likelihoods import diagonal_gaussian_log_prob
from rlgen.equations.variational_bounds import elbo
from rlgen.nn.layers import mlp
from rlgen.nn.posterior import DiagonalGaussian
from rlgen.rewards.bonus_unit import Unit
from rlgen.rewards.novelty import DynamicsConfig, NormalisedTransitions, Novelty, Predictor
from rlgen.rewards.source import TaskShape

LARGEST_LOG_STD = 2.0
"""Bound of log standard deviations: far from the data they mean nothing, and the divergence is exponential in them."""


@dataclass(frozen=True, kw_only=True)
class LatentBayesianSurpriseConfig(DynamicsConfig):
    """Settings of a variational dynamics model (Mazzaglia et al. 2022, 2104.07495), sized for flat observations."""

    own_unit: ClassVar[Unit] = "returns"

    hidden: tuple[int, ...] = (64,)
    """Widths of the hidden layers of prior, posterior and decoder."""
    latent: int = 16
    """Dimension of the latent."""
    likelihood_std: float = 0.5
    """Standard deviation of the next observation around its decoded latent, where observations have unit variance.
    Below 1, unpredictable noise keeps a bonus of log(1 / std) nats per dimension."""
    beta: float = 1.0
    """Weight of the KL divergence in the loss."""


class LatentBayesianSurprise(Novelty):
    """Rewards KL[q(z|s, a, s') ‖ p(z|s, a)], nats: how far observing s' changes the belief about a latent behind it.

    Mazzaglia et al. 2022 (2104.07495). Prior, posterior and decoder are a variational autoencoder of the next
    observation given (s, a). The divergence falls where the prior has learned to predict, and stays only where the next
    observation is news. It is VIME's bonus for a latent instead of weights, in one pass. The bonus is divided by the
    running standard deviation of its discounted sums, as in RND; inputs and targets are normalized as for VIME.

    Differs from the paper: learns from the current rollout; log standard deviations are bounded.
    """

    config: LatentBayesianSurpriseConfig

    def __init__(self, shape: TaskShape, config: LatentBayesianSurpriseConfig | None = None):
        config = config or LatentBayesianSurpriseConfig()
        view = NormalisedTransitions(shape, config.predicts)
        networks = LatentDynamics(view.input_size, shape.observation_size, config)
        super().__init__(view, networks, config.make_unit(shape.n_envs), config, shape.device)


class BoundedGaussian(DiagonalGaussian):
    """A diagonal Gaussian with standard deviations between e⁻² and e²."""

    def mean_and_log_std(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = super().mean_and_log_std(features)
        return mean, LARGEST_LOG_STD * torch.tanh(log_std / LARGEST_LOG_STD)


class LatentDynamics(Predictor):
    """p(z|s, a), q(z|s, a, s') and p(s'|z), from normalized inputs (s, a) [B, I] and next observations [B, O]."""

    def __init__(self, inputs: int, outputs: int, config: LatentBayesianSurpriseConfig):
        super().__init__()
        hidden, self.config = list(config.hidden), config
        self.before = nn.Sequential(mlp([inputs, *hidden], nn.ReLU), nn.ReLU())
        self.after = nn.Sequential(mlp([inputs + outputs, *hidden], nn.ReLU), nn.ReLU())
        self.prior = BoundedGaussian(hidden[-1], config.latent)
        self.posterior = BoundedGaussian(hidden[-1], config.latent)
        self.decoder = mlp([config.latent, *reversed(hidden), outputs], nn.ReLU)

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.surprise(inputs, self._features(inputs, targets))

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Negative evidence lower bound of log p(s'|s, a), nats, with the divergence weighted by beta."""
        features = self._features(inputs, targets)
        latents, _ = self.posterior.rsample(features)
        log_likelihood = diagonal_gaussian_log_prob(targets, self.decoder(latents), self.config.likelihood_std)
        return -elbo(log_likelihood, self.surprise(inputs, features), self.config.beta).mean()

    def surprise(self, inputs: Tensor, features: Tensor) -> Tensor:
        """KL[posterior ‖ prior] [B], nats, from features [B, F] of (s, a, s')."""
        mean, log_std = self.posterior.mean_and_log_std(features)
        prior_mean, prior_log_std = self.prior.mean_and_log_std(self.before(inputs))
        return kl_gaussian(mean, log_std.exp(), prior_mean, prior_log_std.exp()).sum(-1)

    def _features(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.after(torch.cat([inputs, targets], -1))
