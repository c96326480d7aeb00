"""Variational autoencoders: VAE (Kingma & Welling 2014, 1312.6114), and with an inverse autoregressive flow as
posterior (Kingma et al. 2016, 1606.04934)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from rlgen.checks import LEFT_OUT, at_least, one_of, widths
from rlgen.display import Metric, Panel
from rlgen.equations.variational_bounds import elbo, free_bits, importance_weighted_bound
from rlgen.errors import problem
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.generators.pictures import DRAWN, active_traversal
from rlgen.generators.pixels import PIXELS
from rlgen.idle import setting
from rlgen.nn.layers import ACTIVATIONS, Activation, full_precision, mlp
from rlgen.nn.posterior import (
    CouplingFlow,
    DiagonalGaussian,
    InverseAutoregressive,
    Posterior,
    PosteriorFactory,
    standard_normal_log_prob,
)

if TYPE_CHECKING:
    Likelihood = str
else:
    Likelihood = Literal[*PIXELS]
AT_ONCE = 2**26
"""Largest number of decoder outputs computed at once without gradient: 256 MiB; likelihoods take several times that."""


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """Configuration of `VAE`: the perceptrons of the paper's experiment on MNIST, with Adam instead of Adagrad."""

    latent: int = 20
    """Latent dimension."""
    hidden: tuple[int, ...] = (500,)
    """Widths of the encoder's hidden layers; the decoder has the reverse."""
    activation: Activation = "tanh"
    """Activation between layers."""
    likelihood: Likelihood = "bernoulli"
    """Likelihood of a pixel: bernoulli, for binary images; categorical, over 256 levels; logistic, a mixture of
    discretized logistics (Salimans et al. 2017, 1701.05517), for grey or color; or gaussian with a learned standard
    deviation, for levels dequantized with uniform noise (Theis et al. 2016, 1511.01844)."""
    mixture: int = setting(5, "likelihood", "logistic")
    """Number of logistics in the mixture of the logistic likelihood."""
    posterior: Literal["gaussian", "iaf", "coupling"] = "gaussian"
    """Posterior: a diagonal Gaussian; or one transformed by an inverse autoregressive flow (Kingma et al. 2016,
    1606.04934), or by affine couplings (Dinh et al. 2017, 1605.08803)."""
    flow_steps: int = setting(4, "posterior", "iaf", "coupling")
    """Number of steps of the flow."""
    flow_hidden: tuple[int, ...] = setting((320,), "posterior", "iaf", "coupling")
    """Widths of the hidden layers in each step of the flow."""
    flow_context: int = setting(64, "posterior", "iaf", "coupling")
    """Dimension of the context that the encoder gives to every step of the flow."""
    objective: Literal["elbo", "iwae"] = "elbo"
    """Maximized bound: the evidence lower bound, or the importance-weighted bound (Burda et al. 2016, 1509.00519, eq. 8
    and 13), which requires several samples: 5 and 50 in the paper."""
    samples: int = 1
    """Number of latents drawn per image."""
    beta: float = 1.0
    """Weight of the KL divergence (Higgins et al. 2017, beta-VAE); 1 for the evidence lower bound."""
    free_bits: float = 0.0
    """Nats of KL divergence per latent dimension without cost (Kingma et al. 2016, appendix C.8); 0 for none."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""

    def __post_init__(self) -> None:
        at_least(self, 1, "latent", "samples", "mixture", "flow_steps", "flow_context")
        widths(self, "hidden", "flow_hidden")
        if not self.hidden or not self.flow_hidden:
            raise problem("one hidden layer or more", f"hidden {self.hidden}, flow_hidden {self.flow_hidden}", LEFT_OUT)
        at_least(self, 0, "beta", "free_bits")
        one_of(self, "likelihood", PIXELS)
        one_of(self, "activation", ACTIVATIONS)
        one_of(self, "posterior", ("gaussian", "iaf", "coupling"))
        one_of(self, "objective", ("elbo", "iwae"))
        if self.objective == "iwae":
            self._check_importance_weights()

    def _check_importance_weights(self) -> None:
        """Raise `InputError` for options that need a KL term, which the importance-weighted bound does not have."""
        if self.samples < 2:
            got = f"samples {self.samples}, which is the evidence lower bound"
            raise problem("samples of at least 2 for the objective iwae", got, "use e.g. 5, or the objective elbo")
        if self.beta != 1 or self.free_bits:
            got = f"beta {self.beta:g} and free_bits {self.free_bits:g}"
            raise problem("beta 1 and free_bits 0 for the objective iwae", got, "set these, or use the objective elbo")


def _flow(kind: Callable[..., Posterior]) -> Callable[["VAEConfig"], PosteriorFactory]:
    return lambda config: partial(kind, context=config.flow_context, steps=config.flow_steps, hidden=config.flow_hidden)


POSTERIORS: Mapping[str, Callable[["VAEConfig"], PosteriorFactory]] = {
    "gaussian": lambda config: DiagonalGaussian,
    "iaf": _flow(InverseAutoregressive),
    "coupling": _flow(CouplingFlow),
}


class VAE(ImageModel):
    """A VAE of perceptrons: one player, which maximizes a lower bound on the log-evidence.

    `posterior`: constructs the posterior from the dimensions of features and latents; by default that of the
    configuration. Any module that implements `rlgen.nn.Posterior` is valid.
    """

    config_type = VAEConfig
    panels = (
        Panel(
            "Lower bounds on the evidence [nats]",
            (Metric("vae/elbo", "ELBO"), Metric("vae/iwae", "importance-weighted")),
        ),
        Panel("KL to the prior [nats]", (Metric("vae/kl", "KL"),), limits=(0, None)),
        Panel("Log-likelihood given the latent [nats]", (Metric("vae/log_likelihood", "log-likelihood"),)),
        Panel("Loss", (Metric("vae/loss", "loss"),)),
    )
    config: VAEConfig

    def __init__(self, shape: ImageShape, config: VAEConfig | None = None, posterior: PosteriorFactory | None = None):
        super().__init__(shape, config or VAEConfig())
        self.pixels = PIXELS[self.config.likelihood](shape, self.config.mixture)
        activation = ACTIVATIONS[self.config.activation]
        widths, latent = self.config.hidden, self.config.latent
        self.encoder = nn.Sequential(mlp([shape.numbers, *widths], activation), activation())
        self.decoder = mlp([latent, *reversed(widths), self.pixels.numbers * shape.height * shape.width], activation)
        self.posterior = (posterior or POSTERIORS[self.config.posterior](self.config))(widths[-1], latent)

    @property
    def binary(self) -> bool:
        return self.config.likelihood == "bernoulli"

    @property
    def log_determinant(self) -> float | None:
        return self.pixels.log_determinant

    def players(self) -> Sequence[Player]:
        return (Player("vae", self.parameters(), self.loss, self.config.learning_rate),)

    def loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Minus the bound; all terms in nats per image. The logged `kl`, `elbo` and `iwae` do not include `beta` or
        `free_bits`."""
        features = self.encoder(images.flatten(1))
        latents, log_posterior = self.posterior.rsample(features, self.config.samples)
        log_likelihood = self.pixels.log_prob(images, self.outputs(latents))
        groups = self.posterior.kl(features, (latents, log_posterior))
        kl = groups.sum(-1)
        terms = {"elbo": elbo(log_likelihood, kl).mean(), "kl": kl.mean(), "log_likelihood": log_likelihood.mean()}
        if self.config.objective == "iwae":
            bound = importance_weighted_bound(log_likelihood + standard_normal_log_prob(latents) - log_posterior).mean()
            return {"loss": -bound, "iwae": bound, **terms}
        charged = terms["kl"]
        if self.config.free_bits:
            charged = free_bits(groups, self.config.free_bits * self.config.latent / groups.shape[-1]).sum()
        return {"loss": self.config.beta * charged - terms["log_likelihood"], **terms}

    def outputs(self, latents: Tensor) -> Tensor:
        """The likelihood's parameters [..., P, H, W] of latents [..., Z]."""
        return full_precision(self.decoder(latents)).unflatten(-1, (-1, self.shape.height, self.shape.width))

    @torch.no_grad()
    def log_weight(self, images: Tensor, samples: int) -> Tensor:
        """log p(x, z) - log q(z | x), nats, [samples, B]."""
        latents, log_posterior = self.posterior.rsample(self.encoder(images.flatten(1)), samples)
        return self.log_likelihood(images, latents) + standard_normal_log_prob(latents) - log_posterior

    def log_likelihood(self, images: Tensor, latents: Tensor) -> Tensor:
        """log p(x | z) [S, B] of images [B, C, H, W] and latents [S, B, Z].

        Computed in pieces, first of samples, then of images, so that the order of the noise does not depend on the size
        of the pieces.
        """
        pairs = max(1, AT_ONCE // (self.pixels.numbers * self.shape.height * self.shape.width))
        rows = [
            [
                self.pixels.log_prob(some, self.outputs(given))
                for some, given in zip(images.split(pairs), piece.split(pairs, 1), strict=True)
            ]
            for piece in latents.split(max(1, pairs // len(images)))
        ]
        return torch.cat([torch.cat(row, 1) for row in rows])

    @torch.no_grad()
    def traversals(self, images: Tensor, rows: int, columns: int) -> Tensor:
        """Traversals of the latent dimensions that depend most on the image."""
        latents, _ = self.posterior.rsample(self.encoder(images.flatten(1)), DRAWN)
        return self.decode(active_traversal(latents, rows, columns))

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        latents, _ = self.posterior.rsample(self.encoder(images.flatten(1)), 1)
        return self.decode(latents[0])

    def prior(self, n: int) -> Tensor:
        return torch.randn(n, self.config.latent, device=next(self.parameters()).device)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The expected image for each latent."""
        return self.pixels.mean(self.outputs(latents))

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.prior(n))


@dataclass(frozen=True, kw_only=True)
class IAFVAEConfig(VAEConfig):
    """Configuration of `IAFVAE`: the smallest flow of the paper's table 1 (MNIST).

    Encoder and decoder are perceptrons instead of convolutional residual networks, which train for hours. The paper's
    baseline is the same configuration with `posterior="gaussian"`.
    """

    latent: int = 32
    """Latent dimension (section 6.1)."""
    activation: Activation = "relu"
    """Activation between layers of encoder and decoder; the flow has exponential linear units."""
    posterior: Literal["gaussian", "iaf", "coupling"] = "iaf"
    """Posterior: iaf, the flow, whose steps all receive the encoder's context; gaussian or coupling for comparison."""
    flow_steps: int = setting(2, "posterior", "iaf", "coupling")
    """Number of steps of the flow: 2, 4 and 8 in table 1. Every second step has the latent dimensions in reverse
    order."""
    flow_hidden: tuple[int, ...] = setting((320,), "posterior", "iaf", "coupling")
    """Widths of the hidden layers in each step of the flow: 320 and 1920 in table 1."""
    free_bits: float = 0.1
    """Nats of KL divergence per latent dimension without cost (appendix C.8; 0.1 in the released code, for CIFAR-10).
    For a flow the limit applies to the sum over all dimensions."""
    learning_rate: float = 2e-3
    """Learning rate of Adamax (released code)."""


class IAFVAE(VAE):
    """A `VAE` trained with Adamax."""

    config_type = IAFVAEConfig
    config: IAFVAEConfig

    def players(self) -> Sequence[Player]:
        return (Player("vae", self.parameters(), self.loss, self.config.learning_rate, optimizer=torch.optim.Adamax),)
