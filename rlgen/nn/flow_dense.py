"""A dense layer with correlated, non-Gaussian weights: multiplicative noise from a normalizing flow."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.gaussians import gaussian_log_prob, kl_gaussian
from rlgen.equations.multiplicative_noise import (
    expected_log_reverse,
    scaled_kl_gaussian,
    scaled_local_reparametrization,
    scaled_shared_reparametrization,
)
from rlgen.errors import problem
from rlgen.nn.bayesian_dense import (
    GaussianDense,
    GaussianWeights,
    Inputs,
    Outputs,
    Pass,
    Sampling,
    Scalar,
    check_sampling,
    inverse_softplus,
)
from rlgen.nn.flows import Flow, affine_couplings

Noise = Float[Tensor, "*samples I"]
LogProb = Float[Tensor, "*samples"]


class FlowNoise(nn.Module):
    """The density q(z) of the noise that multiplies a layer's inputs: a Gaussian around 1, transformed by couplings."""

    def __init__(self, size: int, steps: int, hidden: Sequence[int], initial_std: float):
        super().__init__()
        rho = inverse_softplus(torch.tensor(float(initial_std), dtype=torch.float64)).item()
        self.mean = nn.Parameter(torch.ones(size))
        self.rho = nn.Parameter(torch.full((size,), rho))
        self.steps = Flow(affine_couplings(size, 0, steps, hidden))

    def rsample(self, *shape: int) -> tuple[Noise, LogProb]:
        """Samples z [*shape, I], and log q(z) [*shape], nats."""
        std = F.softplus(self.rho)
        noise = torch.randn((*shape, len(std)), dtype=std.dtype, device=std.device)
        z = self.mean + std * noise
        return self.steps.moved(z, gaussian_log_prob(z, self.mean, std).sum(-1))

    def log_prob(self, z: Noise) -> LogProb:
        """log q(z) of any z [..., I], nats [...]."""
        origin, log_det = self.steps.origin(z)
        return gaussian_log_prob(origin, self.mean, F.softplus(self.rho)).sum(-1) - log_det


class FlowWeights(NamedTuple):
    """Weights W_ij | z ~ N(z_i mean_ij, std_ij²), z from a flow, and Gaussian biases."""

    gaussian: GaussianWeights
    """Gaussians of the weights for z = 1, and of the biases."""
    noise: FlowNoise
    """q(z)."""
    second_moment: Tensor | None = None
    """E[z²], estimated, for the information gain."""

    def draw(self, samples: int, sampling: Sampling) -> Pass:
        """As `GaussianWeights.draw`; local sampling draws a z per row and sample, shared sampling one per sample."""
        check_sampling(sampling)
        gaussian, moment = self.gaussian, self.second_moment
        if sampling == "shared":
            scale, _ = self.noise.rsample(samples)
            noise = _normal(gaussian.weight_mean, samples), _normal(gaussian.bias_mean, samples)
            return lambda inputs: scaled_shared_reparametrization(inputs, scale, *gaussian, *noise, moment)

        def local(inputs: Tensor) -> tuple[Tensor, object]:
            scale, _ = self.noise.rsample(samples, inputs.shape[1])
            noise = _normal(gaussian.bias_mean, samples, inputs.shape[1])
            return scaled_local_reparametrization(inputs, scale, *gaussian, noise, moment)

        return local  # type: ignore[return-value]


class FlowDense(nn.Module):
    """Multiplicative normalizing flow: weights N(z_i mean_ij, std_ij²) given noise z from a flow.

    Louizos & Welling 2017 (1703.01961). Averaged over z, the weights of an input are correlated, and the flow shapes
    their density. `steps`, `hidden`: number of couplings of the flow, and widths of their perceptrons; with 0 steps z
    is Gaussian. `kl_samples`: draws of z in each estimate of a divergence.

    The density of the weights is an integral over z, so divergences are upper bounds. Differs from the paper: the
    auxiliary r(z|W) is that of `expected_log_reverse`, for the reason given there, and the masks of the couplings are
    fixed instead of drawn.
    """

    def __init__(
        self,
        fan_in: int,
        fan_out: int,
        prior_std: float = 0.5,
        initial_std: float = 0.5,
        initial_mean_std: float | None = None,
        *,
        steps: int = 2,
        hidden: Sequence[int] = (32,),
        initial_noise_std: float = 0.1,
        kl_samples: int = 8,
    ):
        super().__init__()
        if steps < 0 or kl_samples < 1 or initial_noise_std <= 0:
            raise problem(
                "0 or more steps, 1 or more kl_samples and a positive initial_noise_std",
                f"steps {steps}, kl_samples {kl_samples}, initial_noise_std {initial_noise_std}",
                "use e.g. 2, 8 and 0.1",
            )
        self.gaussian = GaussianDense(fan_in, fan_out, prior_std, initial_std, initial_mean_std)
        self.noise = FlowNoise(fan_in, steps, hidden, initial_noise_std)
        self.reverse_mean = nn.Parameter(self.noise.mean.detach().clone())
        self.reverse_rho = nn.Parameter(self.noise.rho.detach().clone())
        self.kl_samples = kl_samples

    def forward(self, inputs: Inputs, samples: int, sampling: Sampling) -> Outputs:
        return FlowWeights(self.gaussian.weights(), self.noise).draw(samples, sampling)(inputs)[0]

    def kl_to_prior(self) -> Scalar:
        """An estimate, with `kl_samples` draws of z, of the upper bound E[KL[q(W|z) ‖ p(W)] + log q(z) - log r(z|W)].

        Louizos & Welling 2017 (1703.01961). Its expectation is exact if z is Gaussian and r has its mean and standard
        deviation.
        """
        own, prior_std = self.gaussian.weights(), self.gaussian.prior_std
        z, log_prob = self.noise.rsample(self.kl_samples)
        weights = own.weight_mean, own.weight_std
        log_reverse = expected_log_reverse(z, *weights, self.reverse_mean, F.softplus(self.reverse_rho))
        bound = scaled_kl_gaussian(z, *weights, prior_std) + log_prob - log_reverse
        return bound.mean() + kl_gaussian(own.bias_mean, own.bias_std, 0.0, prior_std).sum()

    @torch.no_grad()
    def posterior(self, draws: int = 1024) -> FlowWeights:
        """A detached copy of the posterior. `draws`: samples of z for the estimate of its second moment."""
        noise = copy.deepcopy(self.noise).requires_grad_(False)
        return FlowWeights(self.gaussian.posterior(), noise, self.noise.rsample(draws)[0].square().mean(0))

    def kl_to(self, stored: FlowWeights) -> Scalar:
        """KL of the joint distributions of weights and noise, an upper bound for the weights. It is estimated with
        `kl_samples` draws of z, is never negative, and is 0 if nothing has changed.

        E_z[KL[q(W|z) ‖ stored(W|z)] + KL[q(z) ‖ stored(z)]]; the latter is estimated as E[ratio - 1 - log ratio], which
        has the same mean as -log ratio and no negative terms: Schulman 2020, Approximating KL divergence.
        """
        z, _ = self.noise.rsample(self.kl_samples)
        own, old = self.gaussian.weights(), stored.gaussian
        log_ratio = stored.noise.log_prob(z) - self.noise.log_prob(z)
        scaled = [z.unsqueeze(-1) * mean for mean in (own.weight_mean, old.weight_mean)]
        weights = kl_gaussian(scaled[0], own.weight_std, scaled[1], old.weight_std).sum((-2, -1))
        biases = kl_gaussian(own.bias_mean, own.bias_std, old.bias_mean, old.bias_std).sum()
        return (weights + torch.expm1(log_ratio) - log_ratio).mean() + biases


def _normal(like: Tensor, *shape: int) -> Tensor:
    return torch.randn((*shape, *like.shape), dtype=like.dtype, device=like.device)
