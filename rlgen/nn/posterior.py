"""Posteriors q(z|x) of latent variables, given the features that an encoder made of x.

Shapes: B batch, F features, S samples, Z latent. Log-probabilities are nats.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.equations.gaussians import gaussian_log_prob, kl_gaussian
from rlgen.errors import problem
from rlgen.nn.autoregressive import InverseAutoregressiveStep
from rlgen.nn.flows import Flow, affine_couplings
from rlgen.nn.layers import full_precision

Features = Float[Tensor, "B F"]
Latents = Float[Tensor, "S B Z"]
PerLatent = Float[Tensor, "B Z"]
LogProb = Float[Tensor, "S B"]


@runtime_checkable
class Posterior(Protocol):
    """The seam for another posterior: an `nn.Module` with these methods."""

    def rsample(self, features: Tensor, samples: int = 1) -> tuple[Tensor, Tensor]:
        """z [S, B, Z], differentiable with respect to parameters and features, and log q(z|x) [S, B]."""
        ...

    def log_prob(self, z: Tensor, features: Tensor) -> Tensor:
        """log q(z|x) [S, B] of any z [S, B, Z]."""
        ...

    def kl(self, features: Tensor, draws: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """KL(q(z|x) ‖ N(0, 1)) [B, G], nats, as a sum over the G columns: one column for each latent dimension where
        the divergence has a closed form, otherwise a single column, `estimated_kl` of the `draws` that `rsample`
        returned for these features."""
        ...


PosteriorFactory = Callable[[int, int], Posterior]
"""Makes a posterior of features [B, F] and latents [B, Z] from F and Z."""


def standard_normal_log_prob(z: Float[Tensor, "*batch Z"]) -> Float[Tensor, "*batch"]:
    """log N(z; 0, 1), nats, summed over Z: the prior of every posterior here."""
    return gaussian_log_prob(z, torch.zeros_like(z), 1.0).sum(-1)


def estimated_kl(z: Latents, log_prob: LogProb) -> Float[Tensor, "B 1"]:
    """Monte Carlo estimate of KL(q(z|x) ‖ N(0, 1)) from draws of q and their log-probabilities. Kingma & Welling 2014
    (1312.6114), eq. 6."""
    return (log_prob - standard_normal_log_prob(z)).mean(0).unsqueeze(-1)


class DiagonalGaussian(nn.Module):
    """Means and logarithms of standard deviations, linear in the features. Kingma & Welling 2014 (1312.6114), eq. 9."""

    def __init__(self, features: int, latent: int):
        super().__init__()
        _check(features, latent)
        self.head = nn.Linear(features, 2 * latent)

    def mean_and_log_std(self, features: Features) -> tuple[PerLatent, PerLatent]:
        mean, log_std = full_precision(self.head(features)).chunk(2, -1)
        return mean, log_std

    def rsample(self, features: Features, samples: int = 1) -> tuple[Latents, LogProb]:
        mean, log_std = self.mean_and_log_std(features)
        std = log_std.exp()
        z = mean + std * torch.randn((samples, *mean.shape), dtype=mean.dtype, device=mean.device)
        return z, gaussian_log_prob(z, mean, std).sum(-1)

    def log_prob(self, z: Latents, features: Features) -> LogProb:
        mean, log_std = self.mean_and_log_std(features)
        return gaussian_log_prob(z, mean, log_std.exp()).sum(-1)

    def kl(self, features: Features, draws: tuple[Latents, LogProb] | None = None) -> PerLatent:
        """KL(q(z|x) ‖ N(0, 1)) of each latent dimension, in closed form."""
        mean, log_std = self.mean_and_log_std(features)
        return kl_gaussian(mean, log_std.exp(), 0.0, 1.0)


class FlowPosterior(nn.Module):
    """A diagonal Gaussian transformed by flow steps, all conditioned on one context that is linear in the features.

    `steps` are those of a `Flow`. With `context` 0 they do not depend on x.
    """

    def __init__(self, features: int, latent: int, context: int, steps: Sequence[nn.Module]):
        super().__init__()
        self.base = DiagonalGaussian(features, latent)
        self.context = nn.Linear(features, context) if context else None
        self.steps = Flow(steps)

    def rsample(self, features: Features, samples: int = 1) -> tuple[Latents, LogProb]:
        return self.steps.moved(*self.base.rsample(features, samples), self._context(features))

    def log_prob(self, z: Latents, features: Features) -> LogProb:
        origin, log_det = self.steps.origin(z, self._context(features))
        return self.base.log_prob(origin, features) - log_det

    def kl(self, features: Features, draws: tuple[Latents, LogProb] | None = None) -> Float[Tensor, "B 1"]:
        """KL(q(z|x) ‖ N(0, 1)) of all latent dimensions together, estimated from `draws`, or from one new draw."""
        return estimated_kl(*(self.rsample(features) if draws is None else draws))

    def _context(self, features: Tensor) -> Tensor | None:
        return None if self.context is None else self.context(features)


class InverseAutoregressive(FlowPosterior):
    """Inverse autoregressive flow whose every step gets the encoder's context. Kingma et al. 2016 (1606.04934), alg. 1.

    `hidden`: widths of each step's masked network. A draw costs one pass per step; `log_prob` of a given z costs Z
    passes per step.
    """

    def __init__(self, features: int, latent: int, context: int, steps: int, hidden: Sequence[int]):
        _check(features, latent, steps)
        made = [InverseAutoregressiveStep(latent, hidden, context, backwards=bool(n % 2)) for n in range(steps)]
        super().__init__(features, latent, context, made)


class CouplingFlow(FlowPosterior):
    """Affine couplings, each conditioned on the encoder's context, that transform alternating halves of z.

    Dinh et al. 2017 (Real NVP, 1605.08803), as a posterior. Draws and `log_prob` cost the same. Initially the
    steps are the identity.
    """

    def __init__(self, features: int, latent: int, context: int, steps: int, hidden: Sequence[int]):
        _check(features, latent, steps)
        super().__init__(features, latent, context, affine_couplings(latent, context, steps, hidden))


def _check(features: int, latent: int, steps: int = 1) -> None:
    if min(features, latent, steps) < 1:
        got = f"features {features}, latent {latent}, steps {steps}"
        raise problem("1 or more features, latent dimensions and steps", got, "raise those below 1")
