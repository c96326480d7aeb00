"""Laplacian pyramid of GANs (Denton et al. 2015, 1506.05751): a coarse image, then the details of each doubling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, below_one, widths
from rlgen.equations.laplacian_pyramid import collapsed, doubled, laplacian_pyramid
from rlgen.equations.penalties import Critic
from rlgen.generators.gan import AdversarialGame, AdversarialGameConfig
from rlgen.generators.image_model import ImageModel, ImageShape
from rlgen.generators.player import Player, Terms
from rlgen.nn.conv import required_halvings
from rlgen.nn.layers import mlp
from rlgen.nn.penalties import PenaltyConfig


@dataclass(frozen=True, kw_only=True)
class LAPGANConfig(AdversarialGameConfig):
    """Denton et al. 2015 (1506.05751), section 4, and their released code for CIFAR-10; for images of any size. Each
    level has a game of its own with these settings.

    Differs from the paper: Adam instead of gradient descent with momentum, normal noise instead of uniform noise, no
    dropout, an R1 penalty and learning rates for these, as GAN here has them and for its reasons; no labels; half as
    many channels, for images without colours.
    """

    generator_rate: float = 1e-3
    """Adam's learning rate for the generators."""
    discriminator_rate: float = 1e-3
    """Adam's learning rate for the discriminators."""
    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=0.1))
    """Penalties of the discriminators."""

    width: int = 64
    """Channels of the convolutions that make and judge details."""
    coarse_generator: tuple[int, ...] = (1200, 1200)
    """Widths of the rectified layers that make the coarsest image."""
    coarse_discriminator: tuple[int, ...] = (600, 600)
    """Widths of the rectified layers that judge it."""
    dropout: float = 0.0
    """Share of the discriminators' last hidden units that a pass in training leaves out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.penalties.refuse_for_condition()
        at_least(self, 1, "width")
        widths(self, "coarse_generator", "coarse_discriminator")
        below_one(self, "dropout", remedy="use 0 for none")


class LAPGAN(ImageModel):
    """Two players for every level: 7, 14 and 28 pixels, or 4 and 8. Levels learn independently of one another."""

    config_type = LAPGANConfig
    config: LAPGANConfig

    def __init__(self, shape: ImageShape, config: LAPGANConfig | None = None):
        super().__init__(shape, config or LAPGANConfig())
        times = required_halvings(shape.height, shape.width)
        shapes = [replace(shape, height=shape.height >> n, width=shape.width >> n) for n in range(times, -1, -1)]
        coarsest: AdversarialGame = CoarseImage(shapes[0], self.config)
        self.levels = nn.ModuleList([coarsest, *(Details(each, self.config) for each in shapes[1:])])
        """Coarse to fine."""

    def players(self) -> Sequence[Player]:
        """Named by the height of their images: discriminator_7, generator_7, discriminator_14 and so on."""
        found = []
        for index, level in enumerate(self.games):
            for player in level.players():
                name, loss = f"{player.name}_{level.shape.height}", partial(self.of_level, index, player.loss)
                found.append(replace(player, name=name, parameters=player.own, loss=loss))
        return found

    @property
    def games(self) -> Sequence[AdversarialGame]:
        """One for each level, coarse to fine."""
        return list(self.levels)  # type: ignore[arg-type]

    def of_level(
        self, index: int, loss: Callable[[Tensor, Tensor | None], Terms], images: Tensor, labels: Tensor | None = None
    ) -> Terms:
        """The loss of a level's player: of the coarsest images, or of details given the blurred images they sharpen."""
        coarse, bands = laplacian_pyramid(images, len(self.levels) - 1)
        if index == 0:
            return loss(coarse, None)
        blurred = doubled(collapsed(coarse, bands[: index - 1]))
        return loss(bands[index - 1], blurred)

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """Figure 1 of the paper."""
        coarsest, *finer = self.games
        images = coarsest.fakes(n)
        for level in finer:
            blurred = doubled(images)
            images = blurred + level.fakes(n, blurred)
        return images.clamp(0, 1)


class CoarseImage(AdversarialGame):
    """Perceptrons for the coarsest level."""

    def __init__(self, shape: ImageShape, config: LAPGANConfig):
        generator = nn.Sequential(
            mlp([config.latent, *config.coarse_generator, shape.numbers], nn.ReLU),
            nn.Sigmoid(),
            nn.Unflatten(-1, shape.chw),
        )
        widths = [shape.numbers, *config.coarse_discriminator]
        discriminator = nn.Sequential(
            nn.Flatten(), mlp(widths, nn.ReLU), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(widths[-1], 1)
        )
        super().__init__(shape, config, generator, discriminator)


class Details(AdversarialGame):
    """Convolutions for what a doubling misses. The generator sees a plane of noise and the blurred image; the
    discriminator the blurred image with true or generated details added."""

    def __init__(self, shape: ImageShape, config: LAPGANConfig):
        channels, width = shape.channels, config.width
        generator = nn.Sequential(
            nn.Conv2d(channels + 1, width, 7, padding=3),
            nn.ReLU(),
            nn.Conv2d(width, width, 7, padding=3),
            nn.ReLU(),
            nn.Conv2d(width, channels, 5, padding=2),
        )
        discriminator = nn.Sequential(
            nn.Conv2d(channels, width, 5, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, width, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(config.dropout),
            nn.Linear(width * (shape.height // 2) * (shape.width // 2), 1),
        )
        super().__init__(shape, config, generator, discriminator)

    def prior(self, n: int) -> Tensor:
        """Planes of noise [n, 1, H, W]."""
        return torch.randn(n, 1, self.shape.height, self.shape.width, device=next(self.generator.parameters()).device)

    def fakes(self, n: int, condition: Tensor | None = None) -> Tensor:
        """Details [n, C, H, W] for blurred images [n, C, H, W]."""
        assert condition is not None
        return self.generator(torch.cat([condition, self.prior(n)], 1))

    def critic(self, condition: Tensor | None = None) -> Critic:
        """Details [B, C, H, W] to logits [B], given the blurred images [B, C, H, W]."""
        assert condition is not None
        blurred = condition
        return lambda details: self.logit(blurred + details)
