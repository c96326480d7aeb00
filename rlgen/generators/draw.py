"""Deep recurrent attentive writer, DRAW (Gregor et al. 2015, 1502.04623): a VAE that draws in several steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, one_of, positive
from rlgen.display import Metric, Panel
from rlgen.equations.variational_bounds import elbo
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.generators.pixels import PIXELS
from rlgen.generators.vae import Likelihood
from rlgen.idle import setting
from rlgen.nn.glimpse import Reader, WindowReader, WindowWriter, Writer
from rlgen.nn.posterior import DiagonalGaussian, standard_normal_log_prob

AT_ONCE = 2**24
"""Largest number of canvas numbers computed at once without gradient: 64 MiB; a step takes several times that."""
State = tuple[Tensor, Tensor]
"""Output and cell of an LSTM, each [B, F]."""


@dataclass(frozen=True, kw_only=True)
class DRAWConfig:
    """Configuration of `DRAW`: the paper's table 3 for MNIST.

    Differs from the paper: 10 instead of 64 steps, which take a sixth of the time, and with fewer steps a larger window
    to read, 5 × 5 instead of 2 × 2.
    """

    steps: int = 10
    """Number of steps in which an image is drawn."""
    latent: int = 100
    """Latent dimension of each step."""
    hidden: int = 256
    """Width of the LSTMs of encoder and decoder."""
    attention: bool = True
    """Whether each step reads and writes a window at a place that it chooses; otherwise the complete image."""
    read_window: int = setting(5, "attention")
    """Filters per side of the window that is read."""
    write_window: int = setting(5, "attention")
    """Filters per side of the window that is written."""
    likelihood: Likelihood = "bernoulli"
    """Likelihood of a pixel, as in `VAEConfig`: bernoulli, for binary images; categorical, logistic or gaussian."""
    mixture: int = setting(5, "likelihood", "logistic")
    """Number of logistics in the mixture of the logistic likelihood."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""

    def __post_init__(self) -> None:
        at_least(self, 1, "steps", "latent", "hidden", "read_window", "write_window", "mixture")
        one_of(self, "likelihood", PIXELS)
        positive(self, "learning_rate")


class Drawn(NamedTuple):
    """Images drawn from draws of the posterior."""

    canvas: Tensor
    """Canvas after the last step: the likelihood's parameters [B, P, H, W]."""
    kl: Tensor
    """Sum over the steps of the KL divergence from the prior, given the steps before, nats [B]."""
    log_ratio: Tensor
    """Sum over the steps of log p(z) - log q(z | x, earlier z), nats [B]."""


class DRAW(ImageModel):
    """An LSTM that draws on a canvas, step by step, from a latent per step, and an LSTM that infers the latents from
    the image and from what is still missing on the canvas."""

    config_type = DRAWConfig
    panels = (
        Panel("Lower bound on the evidence [nats]", (Metric("draw/elbo", "ELBO"),)),
        Panel("KL to the prior, all steps [nats]", (Metric("draw/kl", "KL"),), limits=(0, None)),
        Panel("Log-likelihood given the latents [nats]", (Metric("draw/log_likelihood", "log-likelihood"),)),
        Panel("Loss", (Metric("draw/loss", "loss"),)),
    )
    config: DRAWConfig

    def __init__(self, shape: ImageShape, config: DRAWConfig | None = None):
        super().__init__(shape, config or DRAWConfig())
        hidden, latent = self.config.hidden, self.config.latent
        self.pixels = PIXELS[self.config.likelihood](shape, self.config.mixture)
        canvas = (self.pixels.numbers, shape.height, shape.width)
        self.reader: Reader | WindowReader
        self.writer: Writer | WindowWriter
        if self.config.attention:
            self.reader = WindowReader(hidden, shape.channels, self.config.read_window)
            self.writer = WindowWriter(hidden, *canvas, self.config.write_window)
        else:
            self.reader, self.writer = Reader(*shape.chw), Writer(hidden, *canvas)
        self.encoder = nn.LSTMCell(self.reader.numbers + hidden, hidden)
        self.posterior = DiagonalGaussian(hidden, latent)
        self.decoder = nn.LSTMCell(latent, hidden)
        self.blank = nn.Parameter(torch.zeros(canvas))
        """The canvas before the first step, learned."""
        self.start = nn.ParameterDict({name: torch.zeros(2, hidden) for name in ("encoder", "decoder")})
        """Output and cell of the LSTMs before the first step, learned."""

    @property
    def binary(self) -> bool:
        return self.config.likelihood == "bernoulli"

    @property
    def log_determinant(self) -> float | None:
        return self.pixels.log_determinant

    def players(self) -> Sequence[Player]:
        return (Player("draw", self.parameters(), self.loss, self.config.learning_rate),)

    def loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Minus the evidence lower bound with one draw of the latents; all terms in nats per image. Eq. 9 to 12 of the
        paper."""
        drawn = self.infer(images)
        log_likelihood = self.pixels.log_prob(images, drawn.canvas.unsqueeze(0))
        bound = elbo(log_likelihood, drawn.kl).mean()
        return {"loss": -bound, "elbo": bound, "kl": drawn.kl.mean(), "log_likelihood": log_likelihood.mean()}

    def infer(self, images: Tensor) -> Drawn:
        """Draw images [B, C, H, W] from latents of their posterior. Eq. 3 to 8 of the paper."""
        canvas, decoder = self.blank.expand(len(images), -1, -1, -1), self._start("decoder", len(images))
        encoder = self._start("encoder", len(images))
        kl = log_ratio = images.new_zeros(len(images))
        for _ in range(self.config.steps):
            errors = images - self.pixels.mean(canvas)
            read = self.reader(images, errors, decoder[0])
            encoder = self.encoder(torch.cat([read, decoder[0]], -1), encoder)
            latents, log_posterior = self.posterior.rsample(encoder[0])
            kl = kl + self.posterior.kl(encoder[0]).sum(-1)
            log_ratio = log_ratio + (standard_normal_log_prob(latents) - log_posterior)[0]
            decoder = self.decoder(latents[0], decoder)
            canvas = canvas + self.writer(decoder[0])
        return Drawn(canvas, kl, log_ratio)

    def _start(self, name: str, rows: int) -> State:
        output, cell = self.start[name].unsqueeze(1).expand(-1, rows, -1)
        return output, cell

    def draw(self, latents: Tensor) -> Iterator[Tensor]:
        """The canvas [n, P, H, W] after every step, for latents [n, T · Z]. Eq. 13 to 16 of the paper."""
        canvas, decoder = self.blank.expand(len(latents), -1, -1, -1), self._start("decoder", len(latents))
        for latent in latents.split(self.config.latent, -1):
            decoder = self.decoder(latent, decoder)
            canvas = canvas + self.writer(decoder[0])
            yield canvas

    @torch.no_grad()
    def log_weight(self, images: Tensor, samples: int) -> Tensor:
        """log p(x, z) - log q(z | x), nats, [samples, B]; z are the latents of all steps."""
        rows = images.repeat(samples, 1, 1, 1)
        pieces = rows.split(max(1, AT_ONCE // self.blank.numel()))
        return torch.cat([self._log_weight(piece) for piece in pieces]).view(samples, len(images))

    def _log_weight(self, images: Tensor) -> Tensor:
        drawn = self.infer(images)
        return self.pixels.log_prob(images, drawn.canvas.unsqueeze(0))[0] + drawn.log_ratio

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        return self.pixels.mean(self.infer(images).canvas)

    def prior(self, n: int) -> Tensor:
        return torch.randn(n, self.config.steps * self.config.latent, device=self.blank.device)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """The expected image for the latents of all steps."""
        *_, canvas = self.draw(latents)
        return self.pixels.mean(canvas)

    @torch.no_grad()
    def stages(self, n: int) -> Tensor:
        """The expected image [T, n, C, H, W] after every step, of n samples."""
        return torch.stack([self.pixels.mean(canvas) for canvas in self.draw(self.prior(n))])

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.prior(n))
