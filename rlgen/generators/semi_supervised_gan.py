"""Semi-supervised classification with a generator (Salimans et al. 2016, 1606.03498, section 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from rlgen.checks import LEFT_OUT, at_least, positive, widths
from rlgen.deprecation import renamed_fields
from rlgen.display import Metric, Panel
from rlgen.equations.gan_variants import class_loss, real_logit, real_or_generated_loss, share_of
from rlgen.equations.penalties import feature_matching
from rlgen.errors import problem
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.nn.layers import GaussianNoise, WeightNormLinear, full_precision, standardize


@renamed_fields(unlabelled="unlabeled")
@dataclass(frozen=True, kw_only=True)
class SemiSupervisedGANConfig:
    """Configuration of `SemiSupervisedGAN`: the perceptrons of section 6.1 (MNIST) in the released code, which
    misclassify 93 ± 6.5 of 10,000 test images when trained with 100 labels.

    Differs from the released code, because all image models of this library are trained in the same way:

    - The classifier is initialized with statistics of the first batch instead of 500 images.
    - The generator's step uses the images of the classifier's step instead of others.
    - The generator's batch norms have a scale.
    - Weights are averaged only if the training has a moving average; the released code averages at a rate of 1e-4.
    """

    latent: int = 100
    """Latent dimension; each component is between 0 and 1."""
    generator_hidden: tuple[int, ...] = (500, 500)
    """Widths of the generator's hidden layers, with batch norm and softplus."""
    hidden: tuple[int, ...] = (1000, 500, 250, 250, 250)
    """Widths of the classifier's hidden layers, with weight normalization and ReLU."""
    input_noise: float = 0.3
    """Standard deviation of the noise on images in training."""
    noise: float = 0.5
    """Standard deviation of the noise on every hidden layer in training."""
    unlabeled: float = 0.5
    """Weight of the loss that separates unlabeled from generated images; the class loss of labeled images has 1."""
    learning_rate: float = 3e-3
    """Learning rate of Adam for both players."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Betas of Adam."""

    def __post_init__(self) -> None:
        at_least(self, 1, "latent")
        widths(self, "generator_hidden", "hidden")
        if not self.hidden:
            raise problem("one hidden layer or more", "none", LEFT_OUT)
        at_least(self, 0, "input_noise", "noise", "unlabeled", remedy="use 0 for none")
        positive(self, "learning_rate")


class SemiSupervisedGAN(ImageModel):
    """A classifier, which is also the discriminator, and a generator that matches the means of its features.

    A label below 0 means unknown. Labeled images enter only the class loss. Unlabeled images enter the loss against
    generated images and the feature matching.

    The norms of the classifier's weights, except those of the last layer, stay at the values set by the first images
    (released code). Otherwise the weights would grow until the noise has no effect.
    """

    config_type = SemiSupervisedGANConfig
    panels = (
        Panel(
            "Discriminator right on",
            (Metric("discriminator/real_accuracy", "real images"), Metric("discriminator/fake_accuracy", "fakes")),
            limits=(0, 1),
            line=0.5,
        ),
        Panel("Labeled images in the right class", (Metric("discriminator/class_accuracy", "share"),), limits=(0, 1)),
        Panel(
            "Losses of the players",
            (Metric("discriminator/loss", "discriminator"), Metric("generator/loss", "generator")),
        ),
        Panel(
            "Parts of the classifier's loss [nats]",
            (
                Metric("discriminator/supervised", "class, of labeled images"),
                Metric("discriminator/unsupervised", "real or not, of others"),
            ),
        ),
    )
    config: SemiSupervisedGANConfig
    semi_supervised = True

    def __init__(self, shape: ImageShape, config: SemiSupervisedGANConfig | None = None):
        config = config or SemiSupervisedGANConfig()
        super().__init__(shape, config)
        if shape.n_classes < 2:
            raise problem("images of at least 2 classes", f"{shape.n_classes}", "use labeled data, or another model")
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise([config.latent, *config.generator_hidden]):
            layers += [nn.Linear(fan_in, fan_out, bias=False), nn.BatchNorm1d(fan_out), nn.Softplus()]
        last = WeightNormLinear([config.latent, *config.generator_hidden][-1], shape.numbers)
        layers += [last, nn.Sigmoid(), nn.Unflatten(-1, shape.chw)]
        self.generator = nn.Sequential(*layers)
        seen: list[nn.Module] = [nn.Flatten(), GaussianNoise(config.input_noise)]
        for index, (fan_in, fan_out) in enumerate(pairwise([shape.numbers, *config.hidden])):
            seen += [GaussianNoise(config.noise)] if index else []
            seen += [WeightNormLinear(fan_in, fan_out, learn_length=False), nn.ReLU()]
        self.body = nn.Sequential(*seen)
        """Images to the features that a generator matches."""
        self.head = nn.Sequential(GaussianNoise(config.noise), WeightNormLinear(config.hidden[-1], shape.n_classes))
        """Layer from features to logits of the real classes; the logit of generated images is 0."""

    def players(self) -> Sequence[Player]:
        rate, betas = self.config.learning_rate, self.config.betas
        classifier = nn.ModuleList([self.body, self.head])
        return (
            Player("discriminator", classifier.parameters(), self.discriminator_loss, rate, betas),
            Player("generator", self.generator.parameters(), self.generator_loss, rate, betas),
        )

    def before_first_update(self, images: Tensor) -> None:
        standardize([*self.body, *self.head], images)

    def discriminator_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Class loss for labeled images plus the real-or-generated loss for unlabeled images."""
        with torch.no_grad():
            made = self.fakes(images)
        labels = _known(images, labels)
        real, generated = (full_precision(self.head(self.body(each))) for each in (images, made))
        supervised = class_loss(real, labels)
        unsupervised = real_or_generated_loss(real, generated, labels < 0)
        return {
            "loss": supervised + self.config.unlabeled * unsupervised,
            "supervised": supervised,
            "unsupervised": unsupervised,
            "class_accuracy": ((real.argmax(-1) == labels).float() * share_of(labels >= 0)).mean(),
            "real_accuracy": ((real_logit(real) > 0).float() * share_of(labels < 0)).mean(),
            "fake_accuracy": (real_logit(generated) <= 0).float().mean(),
        }

    def generator_loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Feature matching with unlabeled images, section 3.1."""
        unlabeled = share_of(_known(images, labels) < 0)
        made = self.body(self.fakes(images))
        with torch.no_grad():
            real = self.body(images)
        return {"loss": feature_matching(full_precision(real) * unlabeled[:, None], full_precision(made))}

    def fakes(self, images: Tensor) -> Tensor:
        """Generated images, half as many as `images`, because half of these are unlabeled (in the released code all
        three groups have the same size)."""
        return self.generator(self.prior(max(2, len(images) // 2)))

    @torch.no_grad()
    def class_logits(self, images: Tensor) -> Tensor:
        """Logits [B, K] of the real classes."""
        return self.head(self.body(images))

    def prior(self, n: int) -> Tensor:
        return torch.rand(n, self.config.latent, device=next(self.generator.parameters()).device)

    def between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """Linear interpolation, because the prior is uniform."""
        return torch.lerp(begin, end, share)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        return self.generator(latents)

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        return self.decode(self.prior(n))


def _known(images: Tensor, labels: Tensor | None) -> Tensor:
    """The labels, or -1 for every image if there are none."""
    return torch.full((len(images),), -1, device=images.device) if labels is None else labels
