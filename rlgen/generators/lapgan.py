"""Laplacian pyramid of GANs, LAPGAN (Denton et al. 2015, 1506.05751): a coarse image and the details per doubling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn

from rlgen.checks import at_least, below_one, positive, widths
from rlgen.deprecation import unless_earlier
from rlgen.display import LEVEL
from rlgen.equations.gan_variants import collapsed, doubled, laplacian_pyramid
from rlgen.equations.penalties import Critic
from rlgen.generators.gan import AdversarialGame, AdversarialGameConfig, game_panels
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.idle import only_with
from rlgen.nn.conv import required_halvings
from rlgen.nn.layers import mlp, normalized_layers
from rlgen.nn.penalties import PenaltyConfig


@dataclass(frozen=True, kw_only=True)
class LAPGANConfig(AdversarialGameConfig):
    """Configuration of `LAPGAN`: Denton et al. 2015 (1506.05751), section 4, and their released code for CIFAR-10; for
    images of any size. Every level is a separate GAN with these settings.

    Differs from the paper:

    - Adam instead of gradient descent with momentum, normal noise instead of uniform noise, no dropout, an R1 penalty
      and learning rates for these, because `GANConfig` has them, for the reasons given there.
    - Batch norm in the coarsest generator, and R1 weights that follow the pixels of a level, for variety.
    - No labels.
    - Half as many channels, because the images have no colors.
    """

    generator_rate: float = 5e-4
    """Learning rate of Adam for the generators."""
    discriminator_rate: float = 1e-3
    """Learning rate of Adam for the discriminators."""
    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=0.1))
    """Penalties of the discriminators; the weight of R1 is that of the finest level."""
    r1_per_level: float = field(default=4.0, metadata=unless_earlier(1.0) | only_with("penalties.r1"))
    """Factor of R1's weight from one level to the next finer one, above 0; 4, because that has four times as many
    pixels: a coarse pixel is the mean of four, so the same discriminator has four times the squared gradient with
    respect to coarse pixels. With 1 the coarsest discriminator is so smooth that its generator lacks variety."""

    width: int = 64
    """Channels of the convolutions of the generators and discriminators of details."""
    coarse_generator: tuple[int, ...] = (400, 400)
    """Widths of the ReLU layers of the coarsest level's generator."""
    coarse_batch_norm: bool = field(default=True, metadata=unless_earlier(False))
    """Batch norm in the coarsest level's generator: without it its samples start nearly equal, and some thousand
    updates later they still vary little."""
    coarse_discriminator: tuple[int, ...] = (400, 400)
    """Widths of the ReLU layers of the coarsest level's discriminator."""
    dropout: float = 0.0
    """Dropout probability of the discriminators' last hidden units in training, 0 to below 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.penalties.refuse_for_condition()
        at_least(self, 1, "width")
        positive(self, "r1_per_level")
        widths(self, "coarse_generator", "coarse_discriminator")
        below_one(self, "dropout", remedy="use 0 for none")

    def of_level(self, coarser: int) -> Self:
        """The settings of the level that is `coarser` halvings below the finest."""
        return replace(self, penalties=replace(self.penalties, r1=self.penalties.r1 / self.r1_per_level**coarser))


class LAPGAN(ImageModel):
    """A GAN for every level, e.g. of 7, 14 and 28 pixels, or of 4 and 8. The levels are trained independently."""

    config_type = LAPGANConfig
    panels = game_panels(f"_{LEVEL}")
    collapse_remedy = AdversarialGame.collapse_remedy
    config: LAPGANConfig

    def __init__(self, shape: ImageShape, config: LAPGANConfig | None = None):
        super().__init__(shape, config or LAPGANConfig())
        times = required_halvings(shape.height, shape.width)
        shapes = [replace(shape, height=shape.height >> n, width=shape.width >> n) for n in range(times, -1, -1)]
        configs = [self.config.of_level(n) for n in range(times, -1, -1)]
        coarsest: AdversarialGame = CoarseImage(shapes[0], configs[0])
        finer = (Details(*each) for each in zip(shapes[1:], configs[1:], strict=True))
        self.levels = nn.ModuleList([coarsest, *finer])
        """The GANs, coarse to fine."""

    def players(self) -> Sequence[Player]:
        """The players of all levels, named by the height of their images: discriminator_7, generator_7,
        discriminator_14 and so on."""
        found = []
        for index, level in enumerate(self.games):
            for player in level.players():
                name, loss = f"{player.name}_{level.shape.height}", partial(self.of_level, index, player.loss)
                found.append(replace(player, name=name, parameters=player.trained, loss=loss))
        return found

    @property
    def games(self) -> Sequence[AdversarialGame]:
        """The GANs of the levels, coarse to fine."""
        return list(self.levels)  # type: ignore[arg-type]

    def of_level(
        self, index: int, loss: Callable[[Tensor, Tensor | None], Terms], images: Tensor, labels: Tensor | None = None
    ) -> Terms:
        """The loss of one player of a level: on the coarsest images, or on details given the blurred images."""
        coarse, bands = laplacian_pyramid(images, len(self.levels) - 1)
        if index == 0:
            return loss(coarse, None)
        blurred = doubled(collapsed(coarse, bands[: index - 1]))
        return loss(bands[index - 1], blurred)

    @torch.no_grad()
    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """Images [n, C, H, W] in [0, 1], sampled from coarse to fine as in figure 1 of the paper."""
        coarsest, *finer = self.games
        images = coarsest.fakes(n)
        for level in finer:
            blurred = doubled(images)
            images = blurred + level.fakes(n, blurred)
        return images.clamp(0, 1)


class CoarseImage(AdversarialGame):
    """The GAN of the coarsest level, of perceptrons."""

    def __init__(self, shape: ImageShape, config: LAPGANConfig):
        sizes = [config.latent, *config.coarse_generator]
        hidden: list[nn.Module] = [mlp([*sizes, shape.numbers], nn.ReLU)]
        if config.coarse_batch_norm:
            hidden = [*normalized_layers(sizes), nn.Linear(sizes[-1], shape.numbers)]
        generator = nn.Sequential(
            *hidden,
            nn.Sigmoid(),
            nn.Unflatten(-1, shape.chw),
        )
        widths = [shape.numbers, *config.coarse_discriminator]
        discriminator = nn.Sequential(
            nn.Flatten(), mlp(widths, nn.ReLU), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(widths[-1], 1)
        )
        super().__init__(shape, config, generator, discriminator)


class Details(AdversarialGame):
    """The convolutional GAN of one level's details. Input of the generator: a plane of noise and the blurred image.
    Input of the discriminator: the blurred image plus real or generated details."""

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
        """A function from details [B, C, H, W] to logits [B], given the blurred images [B, C, H, W]."""
        assert condition is not None
        blurred = condition
        return lambda details: self.logit(blurred + details)
