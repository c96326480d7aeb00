"""InfoGAN (Chen et al. 2016, 1606.03657): some latents are codes that can be read off the images."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.mutual_information import categorical_information, uniform_information
from rlgen.errors import problem
from rlgen.generators.gan import AdversarialGame, AdversarialGameConfig
from rlgen.generators.image_shape import ImageShape
from rlgen.generators.player import Player, Terms
from rlgen.nn.conv import down, halvings, small_weights, up
from rlgen.nn.mlp import mlp, normalised_layers
from rlgen.nn.penalties import Penalty

SLOPE = 0.1
FARTHEST = 2.0
"""Size of the uniform codes at the ends of a traversal, beyond the 1 they were trained with: figure 2 of the paper."""


@dataclass(frozen=True, kw_only=True)
class InfoGANConfig(AdversarialGameConfig):
    """Appendix C.1 of the paper, and its released code for MNIST, fitted to images of any size."""

    latent: int = 62
    """Numbers in a latent that are noise."""
    categories: int = 10
    """Values of the categorical code."""
    uniform_codes: int = 2
    """Codes that are uniform from -1 to 1."""
    information: float = 1.0
    """Weight of the information about the categorical code (lambda)."""
    uniform_information: float = 1.0
    """Weight of the information about the uniform codes."""
    code_std: float = 1.0
    """Standard deviation with which the uniform codes are guessed; fixed, as in the released code."""
    generator_rate: float = 1e-3
    """Adam's learning rate for the generator."""
    width: int = 64
    """Channels after the discriminator's first convolution; twice as many after each further one, and backwards in the
    generator."""
    hidden: int = 1024
    """Units of the fully connected layer in either network."""
    guess_hidden: int = 128
    """Units of the layer that the guess of the codes has for itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("categories", 2), ("uniform_codes", 0), ("width", 1), ("hidden", 1), ("guess_hidden", 1)):
            if getattr(self, name) < least:
                raise problem(f"{name} of at least {least}", str(getattr(self, name)), "leave it out for the default")
        for name in ("information", "uniform_information"):
            if not getattr(self, name) >= 0:
                raise problem(f"{name} of at least 0", str(getattr(self, name)), "use 0 for none")
        if not self.code_std > 0:
            raise problem("a positive code_std", str(self.code_std), "leave it out for the default")
        self.penalties.refuse_for_batch_norm("choose dcgan without it")


class InfoGAN(AdversarialGame):
    """Generator and discriminator both raise a bound on what an image tells about the codes it was made of. The guess of
    the codes shares all but its last layers with the discriminator. Latents: noise, category as zeros and a one, uniform
    codes."""

    config_type = InfoGANConfig
    config: InfoGANConfig

    def __init__(
        self, shape: ImageShape, config: InfoGANConfig | None = None, penalties: Sequence[Penalty] | None = None
    ):
        config = config or InfoGANConfig()
        times = halvings(shape.height, shape.width)
        widths = [config.width * 2**index for index in range(times)] or [shape.channels]
        coarse = (widths[-1], shape.height >> times, shape.width >> times)
        flat = coarse[0] * coarse[1] * coarse[2]
        codes = config.categories + config.uniform_codes
        generator = nn.Sequential(
            *normalised_layers([config.latent + codes, config.hidden, flat]),
            nn.Unflatten(-1, coarse),
            *up([*reversed(widths), shape.channels]),
            nn.Sigmoid(),
        )
        discriminator = nn.Sequential(
            *down([shape.channels, *widths], slope=SLOPE),
            nn.Flatten(),
            nn.Linear(flat, config.hidden, bias=False),
            nn.BatchNorm1d(config.hidden),
            nn.LeakyReLU(SLOPE),
            nn.Linear(config.hidden, 1 + config.guess_hidden),  # the logit, and what the guess goes on from
        )
        guess = nn.Sequential(
            nn.BatchNorm1d(config.guess_hidden), nn.LeakyReLU(SLOPE), nn.Linear(config.guess_hidden, codes)
        )
        for network in (generator, discriminator, guess):
            small_weights(network)
        super().__init__(shape, config, generator, discriminator, penalties)
        self.guess = guess
