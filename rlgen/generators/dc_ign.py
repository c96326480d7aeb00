"""Deep convolutional inverse graphics network, DC-IGN (Kulkarni et al. 2015, 1503.03167): a VAE with a latent for each
factor of the images, learned from minibatches in which only that factor varies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, positive
from rlgen.display import Metric, Panel
from rlgen.equations.factor_batches import clamped, invariance
from rlgen.equations.likelihoods import diagonal_gaussian_log_prob
from rlgen.errors import problem
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.generators.pictures import DRAWN, activity, traversal
from rlgen.nn.conv import strided_decoder, strided_encoder
from rlgen.nn.layers import full_precision
from rlgen.nn.posterior import DiagonalGaussian
from rlgen.nn.rendered import FACTORS, drawn_values, rendered

SLOPE = 0.2
"""Negative slope of the leaky ReLUs."""


@dataclass(frozen=True, kw_only=True)
class DCIGNConfig:
    """Configuration of `DCIGN`: Kulkarni et al. 2015 (1503.03167), section 4.1, for digits.

    Differs from the paper: strided convolutions instead of pooling, Adam, pixels with a Gaussian distribution, and two
    factors, which digits can be rendered with, instead of three.
    """

    latent: int = 20
    """Number of latents for what is intrinsic to an image, such as its class; rotation and light have one each."""
    width: int = 16
    """Channels after the first convolution; each further convolution doubles them, and the decoder has the reverse."""
    hidden: int = 256
    """Width of the layer between convolutions and latents, in encoder and decoder."""
    minibatch: int = 20
    """Images in which only one factor varies. A batch of the training consists of as many as fit."""
    intrinsic_ratio: float = 10.0
    """Number of minibatches in which the intrinsic varies, for each in which the rotation does and each in which the
    light does: 10 in the paper, for faces; with 2, rotation and light of digits are learned in fewer updates."""
    invariance: float = 0.01
    """Weight of the error that replaces the decoder's in the latents of factors that do not vary, their difference from
    the minibatch's mean, as a fraction of the weight of a pixel's squared error."""
    rotation: float = 45.0
    """Largest rotation in either direction, degrees."""
    light: float = 60.0
    """Largest azimuth of the light to either side of the viewer, degrees."""
    pixel_std: float = 0.1
    """Standard deviation of a pixel around the decoded image."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""

    def __post_init__(self) -> None:
        at_least(self, 1, "latent", "width", "hidden")
        at_least(self, 2, "minibatch")
        at_least(self, 0, "invariance")
        positive(self, "intrinsic_ratio", "rotation", "light", "pixel_std", "learning_rate")
        for name, most in (("rotation", 180), ("light", 180)):
            if getattr(self, name) > most:
                got = f"{name} {getattr(self, name):g}"
                raise problem(f"a {name} of at most {most} degrees", got, "use e.g. 45")


class FactorBatches(NamedTuple):
    """G minibatches of K images, in each of which one factor varies."""

    images: Tensor
    """Rendered images [G · K, C, H, W]."""
    active: Tensor
    """Whether a latent is one of the factor that varies, bool [G, Z]."""


class DCIGN(ImageModel):
    """A convolutional VAE. Its first latent is that of the rotation, the second that of the light, and the others are
    intrinsic. In every minibatch one factor varies; the latents of the others are clamped to their mean."""

    config_type = DCIGNConfig
    factors = FACTORS
    panels = (
        Panel("Log-likelihood given the latents [nats]", (Metric("dc_ign/log_likelihood", "log-likelihood"),)),
        Panel("KL to the prior [nats]", (Metric("dc_ign/kl", "KL"),), limits=(0, None)),
        Panel(
            "Half the squared distance of clamped latents from their mean",
            (Metric("dc_ign/invariance", "sum over the latents"),),
            limits=(0, None),
        ),
        Panel("Loss", (Metric("dc_ign/loss", "loss"),)),
    )
    config: DCIGNConfig

    def __init__(self, shape: ImageShape, config: DCIGNConfig | None = None):
        super().__init__(shape, config or DCIGNConfig())
        self.latent = len(FACTORS) + self.config.latent
        hidden = self.config.hidden
        convolutions, features = strided_encoder(*shape.chw, self.config.width)
        self.encoder = nn.Sequential(convolutions, nn.Linear(features, hidden), nn.LeakyReLU(SLOPE))
        self.posterior = DiagonalGaussian(hidden, self.latent)
        deconvolutions = strided_decoder(*shape.chw, hidden, self.config.width)
        self.decoder = nn.Sequential(nn.Linear(self.latent, hidden), nn.LeakyReLU(SLOPE), deconvolutions)

    def players(self) -> Sequence[Player]:
        return (Player("dc_ign", self.parameters(), self.loss, self.config.learning_rate),)

    def loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Minus the evidence lower bound with clamped latents, and the error that replaces the decoder's gradient in
        them. Section 3.2 of the paper. All terms but `invariance` are in nats per image."""
        batches = self.varied(images)
        features = self.encoder(batches.images)
        latents = self.posterior.rsample(features)[0][0].unflatten(0, (-1, self.config.minibatch))
        decoded = self.decoded(clamped(latents, batches.active).flatten(0, 1))
        log_likelihood = diagonal_gaussian_log_prob(batches.images, decoded, self.config.pixel_std).mean()
        kl = self.posterior.kl(features).sum(-1).mean()
        distance = invariance(latents, batches.active).mean()
        loss = kl - log_likelihood + self.config.invariance / self.config.pixel_std**2 * distance
        return {"loss": loss, "log_likelihood": log_likelihood, "kl": kl, "invariance": distance}

    def require_batch_size(self, size: int) -> None:
        least = self.config.minibatch
        if size < least:
            remedy = f"use --batch-size {least} or more, or a smaller --dc-ign.minibatch"
            raise problem(f"at least {least} images per batch, for one minibatch of {least}", f"{size}", remedy)

    def varied(self, images: Tensor) -> FactorBatches:
        """Minibatches made of images [B, C, H, W]; each is of random images with the same rotation and light, or of one
        image with random rotations or with random lights."""
        self.require_batch_size(len(images))
        size, device = self.config.minibatch, images.device
        groups = len(images) // size
        ratio = torch.tensor([*(1.0 for _ in FACTORS), self.config.intrinsic_ratio], device=device)
        kind = torch.multinomial(ratio, groups, replacement=True)
        varies = nn.functional.one_hot(kind, len(ratio)).bool()
        of_factors, intrinsic = varies[:, : len(FACTORS)], varies[:, len(FACTORS) :]
        each = images[: groups * size].unflatten(0, (groups, size))
        each = torch.where(intrinsic[:, :, None, None, None], each, each[:, :1])
        own, shared = (drawn_values(n, device).unflatten(0, (groups, -1)) for n in (groups * size, groups))
        values = torch.where(of_factors[:, None], own, shared)
        active = torch.cat([of_factors, intrinsic.expand(-1, self.config.latent)], 1)
        return FactorBatches(self.render(each.flatten(0, 1), values.flatten(0, 1)), active)

    def factor_values(self, n: int) -> Tensor:
        return drawn_values(n, next(self.parameters()).device)

    def render(self, images: Tensor, values: Tensor) -> Tensor:
        """Images [B, C, H, W] with values [B, F] of the factors, from -1 to 1."""
        return rendered(images, values, (self.config.rotation, self.config.light))

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Means of the latents [B, Z], first those of the factors."""
        return self.posterior.mean_and_log_std(self.encoder(images))[0]

    def decoded(self, latents: Tensor) -> Tensor:
        """The expected image [B, C, H, W] for each of latents [B, Z]."""
        return full_precision(self.decoder(latents)).sigmoid()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The expected image for each latent."""
        return self.decoded(latents)

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.decode(self.encode(images))

    def prior(self, n: int) -> Tensor:
        return torch.randn(n, self.latent, device=next(self.parameters()).device)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.prior(n))

    @torch.no_grad()
    def traversals(self, images: Tensor, rows: int, columns: int) -> Tensor:
        """Traversals of the latents of rotation and light, from the lowest to the highest of the images, then of the
        intrinsic ones that depend most on the image, around the latents of the first image."""
        latents, _ = self.posterior.rsample(self.encoder(images), DRAWN)
        intrinsic = activity(latents)[len(FACTORS) :].argsort(descending=True) + len(FACTORS)
        chosen = torch.cat([torch.arange(len(FACTORS), device=images.device), intrinsic])[:rows]
        shown = traversal(latents[:, 0].mean(0), chosen, columns).unflatten(0, (-1, columns))
        share = torch.linspace(0, 1, columns, device=images.device)
        expected = latents.mean(0)
        for factor in range(min(rows, len(FACTORS))):  # their range is not that of the prior
            low, high = expected[:, factor].aminmax()
            shown[factor, :, factor] = torch.lerp(low, high, share)
        return self.decode(shown.flatten(0, 1))
