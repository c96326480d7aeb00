"""How far what came next moves a belief in a learned latent space, as a reward source: latent Bayesian surprise."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlgen.checks import below_one
from rlgen.equations.elbo import elbo
from rlgen.equations.gaussians import kl_gaussian
from rlgen.equations.likelihoods import diagonal_gaussian_log_prob
from rlgen.nn.layers import mlp
from rlgen.nn.posterior import DiagonalGaussian
from rlgen.rewards.bonus_unit import ReturnSpread
from rlgen.rewards.novelty import Novelty, NoveltyConfig, Predictor
from rlgen.rewards.source import TaskShape
from rlgen.rewards.transition_pool import NormalisedTransitions

LARGEST_LOG_STD = 2.0
"""Far from what was seen a linear log-deviation means nothing, and the divergence grows with its exponential."""


@dataclass(frozen=True, kw_only=True)
class LatentBayesianSurpriseConfig(NoveltyConfig):
    """Variational model of the dynamics (Mazzaglia et al. 2022, 2104.07495), of a size for flat observations."""

    hidden: tuple[int, ...] = (64,)
    """Widths of the hidden layers of prior, posterior and decoder."""
    latent: int = 16
    """Numbers in a latent."""
    likelihood_std: float = 0.5
    """Standard deviation of the next observation around what its latent says, in units of its own spread. Noise that
    nobody can foresee keeps a bonus of log(1 / std) nats per number where it is below 1."""
    beta: float = 1.0
    """Weight of the divergence in the loss."""
    gamma: float = 0.99
    """Discount of the sums of bonuses whose spread is the unit of the bonus."""

    def __post_init__(self) -> None:
        super().__post_init__()
        below_one(self, "gamma", remedy="use e.g. 0.99")


class LatentBayesianSurprise(Novelty):
    """Pays KL[q(z|s, a, s') ‖ p(z|s, a)], nats: how far seeing s' moves the belief about a latent that explains it.

    Mazzaglia et al. 2022 (2104.07495). Prior, posterior and decoder are a variational autoencoder of the next
    observation given (s, a): where the prior has learned to foresee, the divergence falls, and only where what comes
    next is news is there any. It is VIME's bonus for a latent instead of weights, in one pass. The bonus is divided by
    the running deviation of its discounted sums, as in RND; inputs and targets are normalised like VIME's.

    Differs from the paper: learns from the current rollout; logarithms of deviations are bounded.
    """

    config: LatentBayesianSurpriseConfig

    def __init__(self, shape: TaskShape, config: LatentBayesianSurpriseConfig | None = None):
        config = config or LatentBayesianSurpriseConfig()
        view = NormalisedTransitions(shape)
        networks = LatentDynamics(view.input_size, shape.observation_size, config)
        super().__init__(view, networks, ReturnSpread(shape.n_envs, config.gamma), config, shape.device)


class BoundedGaussian(DiagonalGaussian):
    """A diagonal Gaussian whose deviations stay between e⁻² and e²."""

    def mean_and_log_std(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = super().mean_and_log_std(features)
        return mean, LARGEST_LOG_STD * torch.tanh(log_std / LARGEST_LOG_STD)


class LatentDynamics(Predictor):
    """p(z|s, a), q(z|s, a, s') and p(s'|z), from normalised inputs (s, a) [B, I] and next observations [B, O]."""

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
        """Minus the evidence lower bound of log p(s'|s, a), nats, the divergence times beta."""
        features = self._features(inputs, targets)
        latents, _ = self.posterior.rsample(features)
        log_likelihood = diagonal_gaussian_log_prob(targets, self.decoder(latents), self.config.likelihood_std)
        return -elbo(log_likelihood, self.surprise(inputs, features), self.config.beta).mean()

    def surprise(self, inputs: Tensor, features: Tensor) -> Tensor:
        """KL[posterior ‖ prior] [B], nats, of features [B, F] of (s, a, s')."""
        mean, log_std = self.posterior.mean_and_log_std(features)
        prior_mean, prior_log_std = self.prior.mean_and_log_std(self.before(inputs))
        return kl_gaussian(mean, log_std.exp(), prior_mean, prior_log_std.exp()).sum(-1)

    def _features(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return self.after(torch.cat([inputs, targets], -1))
