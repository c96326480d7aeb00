"""Deep convolutional GAN (Radford et al. 2016, 1511.06434)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least
from rlgen.generators.gan import AdversarialGame, AdversarialGameConfig
from rlgen.generators.image_model import ImageShape
from rlgen.nn.conv import FromTanh, ToTanh, down, required_halvings, small_weights, up
from rlgen.nn.patch_conv import PatchConvTranspose2d
from rlgen.nn.penalties import Penalty

POOLED = 4


@dataclass(frozen=True, kw_only=True)
class DCGANConfig(AdversarialGameConfig):
    """Configuration of `DCGAN`: Radford et al. 2016 (1511.06434), section 4, for images of any size.

    Differs from the paper: normal latents instead of uniform ones, because the other GANs of this library use them.
    """

    width: int = 64
    """Channels after the discriminator's first convolution; each further convolution doubles them. The generator has
    the reverse."""
    batch_norm: bool = True
    """Whether the discriminator has batch norm. Switch it off for a gradient penalty, because with batch norm rows
    influence each other."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "width")
        if self.batch_norm:
            self.penalties.refuse_for_batch_norm("switch the discriminator's batch norm off")


class DCGAN(AdversarialGame):
    """A GAN with strided convolutions instead of pooling, batch norm, ReLU in the generator and leaky ReLU in the
    discriminator."""

    config_type = DCGANConfig

    def __init__(
        self, shape: ImageShape, config: DCGANConfig | None = None, penalties: Sequence[Penalty] | None = None
    ):
        config = config or DCGANConfig()
        generator = self.generator_of(shape, config)
        body = convolutions(shape, config.width, config.batch_norm)
        discriminator = nn.Sequential(*body, nn.Linear(coarse_numbers(shape, config.width), 1))
        for network in (generator, discriminator):
            small_weights(network)
        super().__init__(shape, config, generator, discriminator, penalties)

    @staticmethod
    def generator_of(shape: ImageShape, config: Any) -> nn.Module:
        """A new generator, before its weights are initialized."""
        return deconvolutions(shape, config.latent, config.width)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Outputs of all convolutions, max-pooled to a 4 × 4 grid: [B, F]. Section 5.1 of the paper."""
        hidden, found = images, []
        for layer in self.body[:-1]:
            hidden = layer(hidden)
            if isinstance(layer, nn.Sequential):
                found.append(F.adaptive_max_pool2d(hidden, POOLED).flatten(1))
        return torch.cat(found, -1)


def deconvolutions(
    shape: ImageShape, latent: int, width: int, norm: Callable[[int], nn.Module] = nn.BatchNorm2d
) -> nn.Sequential:
    """A network from latents [B, Z] to images [B, C, H, W] in [0, 1]. `norm`: constructs the normalization layer for a
    number of channels."""
    widths, coarse = _widths(shape, width)
    return nn.Sequential(
        nn.Unflatten(-1, (latent, 1, 1)),
        PatchConvTranspose2d(latent, widths[-1], coarse, bias=False),
        norm(widths[-1]),
        nn.ReLU(),
        *up([*reversed(widths), shape.channels], norm),
        FromTanh(),
    )


def convolutions(shape: ImageShape, width: int, batch_norm: bool = True) -> nn.Sequential:
    """A network from images [B, C, H, W] in [0, 1] to features [B, F], F = `coarse_numbers`. A linear layer on them is
    equivalent to a convolution of the size of its input."""
    widths, _ = _widths(shape, width)
    return nn.Sequential(ToTanh(), *down([shape.channels, *widths], batch_norm), nn.Flatten())


def coarse_numbers(shape: ImageShape, width: int) -> int:
    """Number of features that `convolutions` return for an image."""
    widths, (height, breadth) = _widths(shape, width)
    return widths[-1] * height * breadth


def _widths(shape: ImageShape, width: int) -> tuple[list[int], tuple[int, int]]:
    """Channels after each halving, and height and width after all of them."""
    times = required_halvings(shape.height, shape.width)
    return [width * 2**index for index in range(times)], (shape.height // 2**times, shape.width // 2**times)
