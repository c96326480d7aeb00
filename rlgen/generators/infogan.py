"""InfoGAN (Chen et al. 2016, 1606.03657): a GAN with latent codes that can be inferred from the images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least, positive
from rlgen.display import Metric, Panel
from rlgen.equations.variational_bounds import categorical_information, uniform_information, uniform_r2
from rlgen.errors import problem
from rlgen.generators.gan import AdversarialGame, AdversarialGameConfig
from rlgen.generators.image_model import ImageShape, Player, Terms
from rlgen.idle import setting
from rlgen.nn.conv import down, required_halvings, small_weights, up
from rlgen.nn.layers import full_precision, normalized_layers
from rlgen.nn.penalties import Penalty

SLOPE = 0.1
FARTHEST = 2.0
"""Absolute value of a uniform code at the ends of a traversal, beyond the 1 of training: figure 2 of the paper."""


@dataclass(frozen=True, kw_only=True)
class InfoGANConfig(AdversarialGameConfig):
    """Configuration of `InfoGAN`: Chen et al. 2016 (1606.03657), appendix C.1, and their released code for MNIST; for
    images of any size."""

    latent: int = 62
    """Dimension of the noise in a latent."""
    categories: int = 10
    """Number of values of the categorical code."""
    uniform_codes: int = 2
    """Number of codes that are uniform from -1 to 1."""
    information: float = 1.0
    """Weight of the mutual information of the categorical code (lambda)."""
    uniform_information: float = setting(1.0, "uniform_codes")
    """Weight of the mutual information of the uniform codes."""
    code_std: float = setting(1.0, "uniform_codes")
    """Standard deviation of Q for the uniform codes; fixed, as in the released code."""
    generator_rate: float = 1e-3
    """Learning rate of Adam for the generator."""
    width: int = 64
    """Channels after the discriminator's first convolution; each further convolution doubles them. The generator has
    the reverse."""
    hidden: int = 1024
    """Units of the fully connected layer in either network."""
    guess_hidden: int = 128
    """Units of the last hidden layer of Q, which it does not share with the discriminator."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 2, "categories")
        at_least(self, 1, "width", "hidden", "guess_hidden")
        at_least(self, 0, "uniform_codes")
        at_least(self, 0, "information", "uniform_information", remedy="use 0 for none")
        positive(self, "code_std")
        self.penalties.refuse_for_batch_norm("leave the penalty out")


class InfoGAN(AdversarialGame):
    """A GAN whose generator and discriminator maximize a bound on the mutual information of codes and image.

    Q, the approximate posterior of the codes, shares all but its last layers with the discriminator. A latent consists
    of noise, the one-hot category and the uniform codes.
    """

    config_type = InfoGANConfig
    panels = (
        *AdversarialGame.panels,
        Panel("Information about the category, at least [nats]", (Metric("generator/information", "category"),)),
        Panel(
            "Uniform codes: share of their variance that Q infers",
            (Metric("generator/uniform_r2", "uniform codes"),),
            limits=(None, 1),
            line=0.0,
        ),
        Panel(
            "The same in the discriminator's turn",
            (Metric("discriminator/information", "category"), Metric("discriminator/uniform_r2", "uniform codes")),
            drawn=False,
        ),
    )
    config: InfoGANConfig

    def __init__(
        self, shape: ImageShape, config: InfoGANConfig | None = None, penalties: Sequence[Penalty] | None = None
    ):
        config = config or InfoGANConfig()
        times = required_halvings(shape.height, shape.width)
        widths = [config.width * 2**index for index in range(times)]
        coarse = (widths[-1], shape.height >> times, shape.width >> times)
        flat = coarse[0] * coarse[1] * coarse[2]
        codes = config.categories + config.uniform_codes
        generator = nn.Sequential(
            *normalized_layers([config.latent + codes, config.hidden, flat]),
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
            nn.Linear(config.hidden, 1 + config.guess_hidden),  # the logit, and the input of Q's own layers
        )
        guess = nn.Sequential(
            nn.BatchNorm1d(config.guess_hidden), nn.LeakyReLU(SLOPE), nn.Linear(config.guess_hidden, codes)
        )
        for network in (generator, discriminator, guess):
            small_weights(network)
        super().__init__(shape, config, generator, discriminator, penalties)
        self.guess, self.n_codes = guess, config.categories

    def players(self) -> Sequence[Player]:
        """The players of a GAN; Q is trained by the discriminator's optimizer."""
        discriminator, generator = super().players()
        return replace(discriminator, parameters=(*discriminator.trained, *self.guess.parameters())), generator

    def discriminator_loss(self, real: Tensor, condition: Tensor | None = None) -> Terms:
        """Equation 6, for the discriminator and Q."""
        with torch.no_grad():
            latents = self.prior(len(real))
            fake = self.generator(latents)
        fake_logit, hidden = self.logit_and_features(fake)
        return self.informed(
            self.discriminator_terms(self.logit, real, fake, self.logit(real), fake_logit), hidden, latents
        )

    def generator_loss(self, real: Tensor, condition: Tensor | None = None) -> Terms:
        """Equation 6, for the generator."""
        latents = self.prior(len(real))
        fake_logit, hidden = self.logit_and_features(self.generator(latents))
        return self.informed({"loss": self.divergence.generator_loss(fake_logit)}, hidden, latents)

    def informed(self, terms: Terms, hidden: Tensor, latents: Tensor) -> Terms:
        """Subtract from the loss the information bounds for the codes in `latents` [B, Z], nats.

        `information`, that of the category, is at most the logarithm of the number of categories. For the uniform codes
        `uniform_r2` is logged, because the bound with a fixed standard deviation is hard to interpret.
        """
        config = self.config
        _, category, codes = latents.split([config.latent, config.categories, config.uniform_codes], -1)
        logits, mean = full_precision(self.guess(hidden)).split([config.categories, config.uniform_codes], -1)
        information = categorical_information(logits, category.argmax(-1))
        found = {"information": information}
        loss = terms["loss"] - config.information * information
        if config.uniform_codes:
            std = torch.full_like(mean, config.code_std)
            loss = loss - config.uniform_information * uniform_information(mean, std, codes, -1.0, 1.0)
            found["uniform_r2"] = uniform_r2(mean, codes, -1.0, 1.0)
        return {**terms, **found, "loss": loss}

    def logit_and_features(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B] of images [B, C, H, W], and the inputs [B, H] of Q's own layers."""
        found = full_precision(self.discriminator(images))
        return found[:, 0], found[:, 1:]

    def logit(self, images: Tensor) -> Tensor:
        return self.logit_and_features(images)[0]

    def fakes(self, n: int, condition: Tensor | None = None) -> Tensor:
        """Images [n, C, H, W] of categories [n], by default random ones."""
        return self.generator(self.prior(n, condition))

    def prior(self, n: int, category: Tensor | None = None) -> Tensor:
        """Latents [n, Z]: noise and codes uniform from -1 to 1, and the given categories [n], by default uniform."""
        config, device = self.config, next(self.generator.parameters()).device
        if category is None:
            category = torch.randint(config.categories, (n,), device=device)
        noise, codes = (2 * torch.rand(n, size, device=device) - 1 for size in (config.latent, config.uniform_codes))
        return torch.cat([noise, F.one_hot(category, config.categories).to(noise), codes], -1)

    def between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """Linear interpolation, because noise and codes are uniform; the category is that of `begin`."""
        first, codes = self.config.latent, self.config.latent + self.config.categories
        found = torch.lerp(begin, end, share)
        return torch.cat(
            [found[..., :first], begin[..., first:codes].expand_as(found[..., first:codes]), found[..., codes:]], -1
        )

    @torch.no_grad()
    def infer_category(self, images: Tensor) -> Tensor:
        """The most probable category int64 [B] of images [B, C, H, W]."""
        return self.guess(self.logit_and_features(images)[1])[:, : self.config.categories].argmax(-1)

    def traversals(self, images: Tensor, rows: int, columns: int) -> Tensor:
        """Traversals of the first uniform codes, with the same number of rows for each."""
        codes = range(min(self.config.uniform_codes, rows))
        shown = [self.traverse(rows // len(codes), number, columns) for number in codes]
        return torch.cat(shown) if shown else images[:0]

    @torch.no_grad()
    def traverse(self, rows: int, number: int | None = None, columns: int = 10) -> Tensor:
        """Images [rows · columns, C, H, W]; one code varies within a row. By default it is the category, one per
        column; otherwise the uniform code `number`, from -2 to 2 in `columns` steps."""
        config = self.config
        if number is not None and not 0 <= number < config.uniform_codes:
            raise problem(f"a uniform code below {config.uniform_codes}", f"number {number}", "count from 0")
        first = config.latent
        device = next(self.generator.parameters()).device
        if number is None:
            columns = config.categories
            steps, place = torch.eye(columns, device=device), slice(first, first + columns)
        else:
            steps = torch.linspace(-FARTHEST, FARTHEST, columns, device=device).unsqueeze(-1)
            place = slice(first + config.categories + number, first + config.categories + number + 1)
        latents = self.prior(rows).repeat_interleave(columns, 0)
        latents[:, place] = steps.repeat(rows, 1)
        return self.generator(latents)
