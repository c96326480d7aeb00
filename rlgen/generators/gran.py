"""Generative recurrent adversarial networks, GRAN (Im et al. 2016, 1602.05110): a DCGAN that draws in several steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rlgen.checks import at_least
from rlgen.generators.dcgan import DCGAN, DCGANConfig, coarse_numbers, convolutions, deconvolutions
from rlgen.generators.image_model import ImageShape
from rlgen.nn.conv import even_weights
from rlgen.nn.penalties import Penalty


@dataclass(frozen=True, kw_only=True)
class GRANConfig(DCGANConfig):
    """Configuration of `GRAN`: the recurrent generator of Im et al. 2016 (1602.05110) with the convolutions of `DCGAN`,
    for images of any size."""

    steps: int = 3
    """Number of steps in which an image is drawn: 3 and 5 in the paper; 1 is a GAN that does not draw in steps."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "steps")


class GRAN(DCGAN):
    """A `DCGAN` whose generator is recurrent. A latent is that of all steps, as in the released code, so it can be
    interpolated."""

    config_type = GRANConfig
    generator: "RecurrentGenerator"

    def __init__(self, shape: ImageShape, config: GRANConfig | None = None, penalties: Sequence[Penalty] | None = None):
        super().__init__(shape, config or GRANConfig(), penalties)
        # With the small weights of a DCGAN, whose layers batch norm follows, noise and code would be almost constant.
        even_weights(self.generator.noise)
        if self.generator.encoder is not None:
            even_weights(self.generator.encoder)

    @staticmethod
    def generator_of(shape: ImageShape, config: GRANConfig) -> nn.Module:
        return RecurrentGenerator(shape, config.latent, config.width, config.steps)

    @torch.no_grad()
    def stages(self, n: int) -> Tensor:
        """The image [T, n, C, H, W] after every step, of n samples."""
        return torch.stack([canvas.sigmoid() for canvas in self.generator.draw(self.prior(n))])


class RecurrentGenerator(nn.Module):
    """σ(Σ_t ΔC_t): a decoder draws ΔC_t [n, C, H, W] from tanh(W z) and from a code of ΔC_{t-1}, which an encoder
    makes; the code of the first step is 0. Im et al. 2016 (1602.05110), section 3.

    Differs from the paper: batch norm has separate weights and statistics for every step (Cooijmans et al. 2017,
    1603.09025, section 3), because codes are 0 in the first step alone, so that statistics of all steps together would
    fit none of them; the encoder has no batch norm.
    """

    def __init__(self, shape: ImageShape, latent: int, width: int, steps: int):
        super().__init__()
        self.steps, self.latent = steps, latent
        self.noise = nn.Sequential(nn.Linear(latent, latent), nn.Tanh())

        def norms(channels: int) -> nn.ModuleList:
            return nn.ModuleList([nn.BatchNorm2d(channels) for _ in range(steps)])

        *layers, _ = deconvolutions(shape, 2 * latent, width, norms)
        self.decoder = nn.Sequential(*layers)
        """Layers without the output's nonlinearity; batch norms are lists with one for each step."""
        self.encoder = _encoder(shape, latent, width) if steps > 1 else None

    def forward(self, latents: Tensor) -> Tensor:
        """Images [n, C, H, W] in [0, 1] of latents [n, Z]."""
        *_, canvas = self.draw(latents)
        return canvas.sigmoid()

    def draw(self, latents: Tensor) -> Iterator[Tensor]:
        """The canvas [n, C, H, W] after every step, for latents [n, Z]: logits of the image."""
        noise, code = self.noise(latents), torch.zeros_like(latents)
        canvas = drawn = self._decoded(torch.cat([noise, code], -1), 0)
        yield canvas
        for step in range(1, self.steps):
            assert self.encoder is not None
            drawn = self._decoded(torch.cat([noise, self.encoder(drawn)], -1), step)
            canvas = canvas + drawn
            yield canvas

    def _decoded(self, hidden: Tensor, step: int) -> Tensor:
        for layer in self.decoder:
            hidden = (layer[step] if isinstance(layer, nn.ModuleList) else layer)(hidden)
        return hidden


def _encoder(shape: ImageShape, latent: int, width: int) -> nn.Sequential:
    """A network from what was drawn, logits [n, C, H, W], to codes [n, Z] between -1 and 1."""
    _, *body = convolutions(shape, width, batch_norm=False)  # without the first layer, which is for images in [0, 1]
    return nn.Sequential(*body, nn.Linear(coarse_numbers(shape, width), latent), nn.Tanh())
