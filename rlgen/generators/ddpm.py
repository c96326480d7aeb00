"""Denoising diffusion probabilistic models, DDPM (Ho et al. 2020, 2006.11239)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rlgen.checks import at_least, one_of, share, widths
from rlgen.display import Metric, Panel
from rlgen.equations.diffusion import (
    added_noise,
    cosine_signal_shares,
    denoised,
    denoising_error,
    end_divergence,
    implicit_step,
    linear_signal_shares,
    noisy,
    step_divergence,
)
from rlgen.equations.likelihoods import discretized_gaussian_log_prob
from rlgen.errors import problem
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.nn.layers import full_precision
from rlgen.nn.unet import UNet

SCHEDULES = {"cosine": cosine_signal_shares, "linear": linear_signal_shares}
AT_ONCE = 250
"""Number of images that are denoised at once without gradient."""
BOUND_STEPS = 4
"""Random steps of each image in an estimate of the bound."""


@dataclass(frozen=True, kw_only=True)
class DDPMConfig:
    """Configuration of `DDPM`: Ho et al. 2020 (2006.11239) with the cosine schedule of Nichol & Dhariwal 2021
    (2102.09672) and a U-Net that is small enough for a CPU."""

    widths: tuple[int, ...] = (24, 48, 48)
    """Channels of the U-Net at each resolution, each half as fine as the one before; even numbers."""
    attention: bool = True
    """Whether pixels of the coarsest resolution attend to each other."""
    steps: int = 1000
    """Steps of noise between an image and pure noise."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """Growth of the noise: cosine, slow at both ends; linear, that of Ho et al."""
    sampled_steps: int = 50
    """Steps that a sample takes from noise to image, evenly spaced, at most `steps`."""
    eta: float = 0.0
    """Share of fresh noise in each of these steps: 0 for none (DDIM, Song et al. 2021, 2010.02502), 1 for ancestral
    sampling, which needs as many steps as there are."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""

    def __post_init__(self) -> None:
        widths(self, "widths")
        at_least(self, 2, "steps")
        at_least(self, 1, "sampled_steps")
        one_of(self, "schedule", SCHEDULES)
        share(self, "eta")
        if self.sampled_steps > self.steps:
            got = f"sampled_steps {self.sampled_steps} of {self.steps}"
            raise problem("at most as many sampled steps as there are steps", got, "lower sampled_steps")


class DDPM(ImageModel):
    """A U-Net that learns to predict the noise in images; samples are noise from which it is removed step by step."""

    config_type = DDPMConfig
    panels = (Panel("Squared error of the predicted noise", (Metric("ddpm/loss", "error"),), limits=(0, None)),)
    config: DDPMConfig
    shares: Tensor
    """ᾱ of each step [T]."""
    chances: Tensor
    """Probability of each step [T] in an estimate of the bound, proportional to the weight of its noise's error."""

    def __init__(self, shape: ImageShape, config: DDPMConfig | None = None):
        super().__init__(shape, config or DDPMConfig())
        self.denoiser = UNet(shape.channels, self.config.widths, self.config.attention)
        self.register_buffer("shares", SCHEDULES[self.config.schedule](self.config.steps))
        ratio = self.shares.double() / (1 - self.shares.double())
        weights = torch.cat([torch.zeros(1), (ratio[:-1] / ratio[1:] - 1).float()])
        self.register_buffer("chances", weights / weights.sum(), persistent=False)

    @property
    def log_determinant(self) -> float:
        return 0.0  # the bound is on the probability of the levels

    def players(self) -> Sequence[Player]:
        return (Player("ddpm", self.parameters(), self.loss, self.config.learning_rate),)

    def loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """The simple loss, eq. 14, at evenly spaced steps, because the mean over a batch then varies less
        (Kingma et al. 2021, 2107.00630, appendix I.1)."""
        data, noise = 2 * images - 1, torch.randn_like(images)
        steps = self.even_steps(len(images))
        return {"loss": denoising_error(noise, self.predicted(noisy(data, noise, self.shares[steps]), steps)).mean()}

    def even_steps(self, n: int) -> Int[Tensor, " n"]:
        """Random steps [n], counted from 0, each uniform, together evenly spaced."""
        places = _even_places(n, self.shares) * len(self.shares)
        return places.long().clamp(max=len(self.shares) - 1)  # rounding may reach the end

    def predicted(self, noisy_images: Tensor, steps: Int[Tensor, " B"]) -> Tensor:
        """The noise [B, C, H, W] in images of these steps [B], counted from 0."""
        return full_precision(self.denoiser(noisy_images, steps + 1))

    @torch.no_grad()
    def bound(self, images: Tensor) -> Float[Tensor, " B"]:
        """An unbiased estimate of the variational bound on log p(x), nats [B], eq. 5: each image has the term of the
        last step back to the data, those of a few random other steps, divided by their probabilities, and that of the
        end."""
        found = self.level_term(images) - end_divergence(2 * images - 1, self.shares[-1])
        for _ in range(BOUND_STEPS):
            steps = self.likely_steps(len(images))
            found += self.step_term(images, steps) / self.chances[steps] / BOUND_STEPS
        return found

    def likely_steps(self, n: int) -> Int[Tensor, " n"]:
        """Random steps [n], counted from 0, with the probabilities `chances`, together evenly spaced in these."""
        return torch.searchsorted(self.chances.cumsum(0), _even_places(n, self.chances)).clamp(1, len(self.chances) - 1)

    @torch.no_grad()
    def level_term(self, images: Tensor) -> Float[Tensor, " B"]:
        """The term of the last step back in the bound: the log-likelihood of the levels, eq. 13."""
        first = torch.zeros(len(images), dtype=torch.long, device=images.device)
        guess = self._guess(2 * images - 1, first)
        return discretized_gaussian_log_prob(images, guess, (1 - self.shares[0]).sqrt())

    @torch.no_grad()
    def step_term(self, images: Tensor, steps: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
        """The term of other steps back in the bound, counted from 0, at least 1: minus their divergence."""
        data = 2 * images - 1
        return -step_divergence(data, self._guess(data, steps), self.shares[steps - 1], self.shares[steps])

    def _guess(self, data: Tensor, steps: Int[Tensor, " B"]) -> Tensor:
        """What the model makes of the data with the noise of these steps."""
        share, noise = self.shares[steps], torch.randn_like(data)
        seen = noisy(data, noise, share)
        return denoised(seen, self.predicted(seen, steps), share).clamp(-1, 1)

    def prior(self, n: int) -> Tensor:
        """Noise [n, C · H · W]."""
        return torch.randn(n, self.shape.numbers, device=self.shares.device)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Images [n, C, H, W] in [0, 1] that DDIM makes of noise [n, C · H · W], always the same."""
        return self._images(latents, eta=0.0)

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self._images(self.prior(n), self.config.eta)

    def _images(self, latents: Tensor, eta: float) -> Tensor:
        return torch.cat([self._denoised(piece.view(-1, *self.shape.chw), eta) for piece in latents.split(AT_ONCE)])

    def _denoised(self, images: Tensor, eta: float) -> Tensor:
        """Algorithm 2 of Ho et al. with the steps of Song et al."""
        count = len(self.shares)
        chosen = torch.linspace(count - 1, 0, self.config.sampled_steps).round().long().tolist()
        one = torch.ones((), device=images.device)
        for step, after in zip(chosen, [*chosen[1:], None], strict=True):
            steps = torch.full((len(images),), step, device=images.device)
            share_from = self.shares[steps]
            share_to = (one if after is None else self.shares[after]).expand(len(images))
            data = denoised(images, self.predicted(images, steps), share_from).clamp(-1, 1)
            noise = added_noise(images, data, share_from)  # that of the clamped data
            images = implicit_step(data, noise, torch.randn_like(images), share_to, share_from, eta)
        return ((images + 1) / 2).clamp(0, 1)


def _even_places(n: int, like: Tensor) -> Float[Tensor, " n"]:
    """Random numbers [n] in [0, 1], each uniform, together evenly spaced."""
    return (torch.rand((), device=like.device) + torch.arange(n, device=like.device) / n) % 1
