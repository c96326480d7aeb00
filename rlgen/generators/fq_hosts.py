"""Hosts of FQ-GAN: the networks of known GANs, with the losses and optimizers of their papers."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from rlgen.generators.dcgan import coarse_numbers, convolutions, deconvolutions
from rlgen.generators.image_model import ImageShape
from rlgen.nn.biggan import BigGANGenerator, biggan_discriminator
from rlgen.nn.conv import small_weights
from rlgen.nn.quantized_discriminator import Parts
from rlgen.nn.stylegan2 import StyleGAN2Generator, stylegan2_discriminator

MAPPING_LAYERS = 2
"""Layers of StyleGAN2's mapping network for images as small as CIFAR-10's. Karras et al. 2020 (2006.06676), appendix
C."""


class Host(NamedTuple):
    """Networks, and the settings that a configuration leaves out."""

    generator: Callable[[ImageShape, int, int], nn.Module]
    """Constructs, from a shape, a latent dimension and a width, a network from latents [B, Z], and labels [B] for a
    conditional host, to images [B, C, H, W] in [0, 1]."""
    discriminator: Callable[[ImageShape, int], Parts]
    """Constructs the parts of a discriminator from a shape and a width."""
    divergence: str
    generator_rate: float
    discriminator_rate: float
    betas: tuple[float, float]
    discriminator_turns: int = 1
    r1: float = 0.0
    """Weight of the R1 penalty."""
    batch_norm: bool = False
    """Whether the discriminator has batch norm, so that it cannot have an R1 penalty."""
    conditional: bool = False
    """Whether it uses labels where the data has them."""


def dcgan_generator(shape: ImageShape, latent: int, width: int) -> nn.Module:
    """The generator of Radford et al. 2016 (1511.06434)."""
    network = deconvolutions(shape, latent, width)
    small_weights(network)
    return network


def dcgan_discriminator(shape: ImageShape, width: int) -> Parts:
    """The discriminator of Radford et al. 2016 (1511.06434), a block for each convolution."""
    to_tanh, first, *others = list(convolutions(shape, width))[:-1]
    blocks = [nn.Sequential(to_tanh, first), *others]
    head = nn.Sequential(nn.Flatten(), nn.Linear(coarse_numbers(shape, width), 1), nn.Flatten(0))
    for module in (*blocks, head):
        small_weights(module)
    return Parts(blocks, [width << index for index in range(len(blocks))], head)


def biggan_generator(shape: ImageShape, latent: int, width: int) -> nn.Module:
    return BigGANGenerator(*shape.chw, latent, width, shape.n_classes)


def biggan_parts(shape: ImageShape, width: int) -> Parts:
    return biggan_discriminator(*shape.chw, width, shape.n_classes)


def stylegan2_generator(shape: ImageShape, latent: int, width: int) -> nn.Module:
    return StyleGAN2Generator(*shape.chw, latent, width, MAPPING_LAYERS)


def stylegan2_parts(shape: ImageShape, width: int) -> Parts:
    return stylegan2_discriminator(*shape.chw, width)


HOSTS: dict[str, Host] = {
    "dcgan": Host(
        dcgan_generator, dcgan_discriminator, "non_saturating", 2e-4, 2e-4, betas=(0.5, 0.999), batch_norm=True
    ),
    "biggan": Host(
        biggan_generator, biggan_parts, "hinge", 2e-4, 2e-4, betas=(0.0, 0.999), discriminator_turns=4, conditional=True
    ),
    "stylegan2": Host(stylegan2_generator, stylegan2_parts, "non_saturating", 2e-3, 2e-3, betas=(0.0, 0.99), r1=0.1),
}
"""Hosts by name: DCGAN (Radford et al. 2016, 1511.06434), BigGAN (Brock et al. 2019, 1809.11096; settings of the
released code of FQ-GAN for CIFAR-10) and StyleGAN2 (Karras et al. 2020, 1912.04958; a smaller R1 weight, because the
images are smaller)."""
