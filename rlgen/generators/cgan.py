"""Conditional GAN (Mirza & Osindero 2014, 1411.1784): generator and discriminator are told the label."""

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
    """The perceptrons of Mirza & Osindero 2014 (1411.1784), section 4.1, for MNIST.

    Differs from the paper: Adam instead of gradient descent with momentum, and normal latents instead of uniform ones,
    as the other GANs here have them; no dropout, an R1 penalty, and learning rates for these, because with dropout and
    without a penalty Adam's generator collapses to a few images that are not of the class asked for.
    """

    generator_rate: float = 1e-3
    """Adam's learning rate for the generator."""
    discriminator_rate: float = 1e-3
    """Adam's learning rate for the discriminator."""
    penalties: PenaltyConfig = field(default_factory=lambda: PenaltyConfig(r1=0.1))
    """Penalties of the discriminator."""

    generator_hidden: tuple[int, int, int] = (200, 1000, 1200)
    """Rectified units that see the latent, the label, and both of these."""
    discriminator_hidden: tuple[int, int, int] = (240, 50, 240)
    """Maxout units that see the image, the label, and both of these."""
    pieces: tuple[int, int] = (5, 4)
    """Linear functions that each maxout unit chooses from: of the first two groups, and of the third."""
    dropout: float = 0.0
    """Share of the hidden units, of both networks, that a pass in training leaves out (the paper: 0.5)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.penalties.refuse_for_condition()
        widths(self, "generator_hidden", "discriminator_hidden", "pieces")
        below_one(self, "dropout", remedy="use 0 for none")


class CGAN(AdversarialGame):
    """Perceptrons whose first layers see the label apart. In training, fakes are made for the real images' labels."""

    config_type = CGANConfig
    conditional = True

    def __init__(self, shape: ImageShape, config: CGANConfig | None = None, penalties: Sequence[Penalty] | None = None):
        if shape.n_classes < 1:
            raise problem("images with labels", "images without", "choose a model that needs none")
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
        """Images of labels [n]; without these, of classes drawn at random."""
        return self.generator(self.labelled(self.prior(n), condition))

    def critic(self, condition: Tensor | None = None) -> Critic:
        """Images [B, C, H, W] to logits [B], given their labels [B]."""
        if condition is None:
            raise problem("labels of the images", "none", "train on labelled images")
        labels = condition
        return lambda images: self.logit(self.labelled(images.flatten(1), labels))

    def labelled(self, rows: Tensor, labels: Tensor | None) -> Tensor:
        """Rows [B, D] with the labels [B] as zeros and a one beside them; without labels, with random classes."""
        if labels is None:
            labels = torch.randint(self.shape.n_classes, (len(rows),), device=rows.device)
        return torch.cat([rows, F.one_hot(labels, self.shape.n_classes).to(rows)], -1)

    @torch.no_grad()
    def decode(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """[n, Z] to images [n, C, H, W], of labels [n] or of random classes."""
        return self.generator(self.labelled(latents, labels))
