"""Conditional GAN (Mirza & Osindero 2014, 1411.1784): the label is an input of generator and discriminator."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import below_one, widths
from rlgen.equations.penalties import Critic
from rlgen.errors import problem
from rlgen.generators.gan import AdversarialGame, AdversarialGameConfig
from rlgen.generators.image_model import ImageShape
from rlgen.nn.layers import Maxout, SideBySide
from rlgen.nn.penalties import Penalty, PenaltyConfig


@dataclass(frozen=True, kw_only=True)
class CGANConfig(AdversarialGameConfig):
    """Configuration of `CGAN`: the perceptrons of Mirza & Osindero 2014 (1411.1784), section 4.1, for MNIST.

    Differs from the paper:

    - Adam instead of gradient descent with momentum, and normal latents instead of uniform ones, because the other GANs
      of this library use them.
    - No dropout, an R1 penalty, and learning rates for these, because with Adam, dropout and no penalty the generator
      collapses to a few images of the wrong class.
    """

    generator_rate: float = 1e-3
    """Learning rate of Adam for the generator."""
    discriminator_rate: float = 1e-3
    """Learning rate of Adam for the discriminator."""
    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=0.1))
    """Penalties of the discriminator."""

    generator_hidden: tuple[int, int, int] = (200, 1000, 1200)
    """Widths of the generator's ReLU layers: on the latent, on the label, and on both results."""
    discriminator_hidden: tuple[int, int, int] = (240, 50, 240)
    """Widths of the discriminator's maxout layers: on the image, on the label, and on both results."""
    pieces: tuple[int, int] = (5, 4)
    """Number of linear functions per maxout unit: in the first two layers, and in the third."""
    dropout: float = 0.0
    """Dropout probability of the hidden units of both networks in training, 0 to below 1 (the paper: 0.5)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.penalties.refuse_for_condition()
        widths(self, "generator_hidden", "discriminator_hidden", "pieces")
        below_one(self, "dropout", remedy="use 0 for none")


class CGAN(AdversarialGame):
    """A conditional GAN of perceptrons with separate first layers for the label. In training, fakes have the labels of
    the real images."""

    config_type = CGANConfig
    conditional = True

    def __init__(self, shape: ImageShape, config: CGANConfig | None = None, penalties: Sequence[Penalty] | None = None):
        if shape.n_classes < 2:
            raise problem("images of at least 2 classes", f"{shape.n_classes}", "use labeled data, or --model gan")
        config = config or CGANConfig()
        of_latent, of_label, of_both = config.generator_hidden
        generator = nn.Sequential(
            SideBySide(config.latent, nn.Linear(config.latent, of_latent), nn.Linear(shape.n_classes, of_label)),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(of_latent + of_label, of_both),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(of_both, shape.numbers),
            nn.Sigmoid(),
            nn.Unflatten(-1, shape.chw),
        )
        of_image, of_label, of_both = config.discriminator_hidden
        few, all_ = config.pieces
        discriminator = nn.Sequential(
            SideBySide(shape.numbers, Maxout(shape.numbers, of_image, few), Maxout(shape.n_classes, of_label, few)),
            nn.Dropout(config.dropout),
            Maxout(of_image + of_label, of_both, all_),
            nn.Dropout(config.dropout),
            nn.Linear(of_both, 1),
        )
        super().__init__(shape, config, generator, discriminator, penalties)

    def fakes(self, n: int, condition: Tensor | None = None) -> Tensor:
        """Images [n, C, H, W] of the labels [n], by default of random classes."""
        return self.generator(self.labeled(self.prior(n), condition))

    def critic(self, condition: Tensor | None = None) -> Critic:
        """A function from images [B, C, H, W] to logits [B], given their labels [B]."""
        if condition is None:
            raise problem("labels of the images", "none", "train on labeled images")
        labels = condition
        return lambda images: self.logit(self.labeled(images.flatten(1), labels))

    def labeled(self, rows: Tensor, labels: Tensor | None) -> Tensor:
        """Rows [B, D], each concatenated with its one-hot label; the labels [B] are random classes by default."""
        if labels is None:
            labels = torch.randint(self.shape.n_classes, (len(rows),), device=rows.device)
        return torch.cat([rows, F.one_hot(labels, self.shape.n_classes).to(rows)], -1)

    @torch.no_grad()
    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images [n, C, H, W] of latents [n, Z] and labels [n], by default of random classes."""
        return self.generator(self.labeled(latents, labels))
