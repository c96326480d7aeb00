"""A classifier of images, with or without adversarial training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from rlgen.checks import LEFT_OUT, at_least, positive, share, widths
from rlgen.display import Metric, Panel
from rlgen.equations.adversarial_examples import adversarial_objective
from rlgen.errors import problem
from rlgen.generators.classifier import Classifier, ClassifierConfig
from rlgen.generators.image_model import ImageModel, ImageShape, Player, Terms
from rlgen.idle import setting
from rlgen.nn.attacks import Attack, AttackName, attack_of
from rlgen.nn.layers import full_precision

Adversarial = Literal["none", "fgsm", "pgd"]


@dataclass(frozen=True, kw_only=True)
class ImageClassifierConfig:
    """Configuration of `ImageClassifier`. Radius and share of clean images are those of Goodfellow et al. 2015
    (1412.6572) for MNIST; the network is `Classifier`."""

    widths: tuple[int, ...] = (16, 32, 64)
    """Channels of each 3 × 3 convolution, each with batch norm, ReLU and, while the image is large enough, pooling."""
    n_features: int = 128
    """Number of units of the layer before the logits."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""
    adversarial: Adversarial = "none"
    """Attack on the training images of every update. fgsm: one step (Goodfellow et al. 2015, 1412.6572); pgd: several,
    from a random start (Madry et al. 2018, 1706.06083); none: plain training."""
    epsilon: float = 0.25
    """Radius of attacks, in training and in the measured robust errors: the largest change of a pixel, from 0 to 1."""
    clean_share: float = setting(0.5, "adversarial", "fgsm", "pgd")
    """Weight of the loss on unchanged images in adversarial training, from 0 to 1; attacked ones have the rest. Madry
    et al. 2018 use 0."""
    pgd_steps: int = setting(10, "adversarial", "pgd")
    """Steps of PGD in training. Their sum is 2.5 radii."""
    measured_steps: int = 40
    """Steps of PGD in the measured robust error. Their sum is 2.5 radii."""

    def __post_init__(self) -> None:
        widths(self, "widths")
        if not self.widths:
            raise problem("one convolution or more", "none", LEFT_OUT)
        at_least(self, 1, "n_features", "pgd_steps", "measured_steps")
        positive(self, "learning_rate")
        share(self, "epsilon", remedy="use e.g. 0.25")
        share(self, "clean_share", remedy="use e.g. 0.5")
        if self.adversarial not in get_args(Adversarial):
            expected = f"adversarial training of {', '.join(get_args(Adversarial))}"
            raise problem(expected, repr(self.adversarial), "choose one of these")


class ImageClassifier(ImageModel):
    """`Classifier` as an image model. It has no samples.

    In adversarial training, the images of an update and the same ones attacked are one batch for the batch norms, so
    that their statistics are of both. The attack is made in evaluation mode, which is the mode it is meant for.
    """

    config_type = ImageClassifierConfig
    grouped = False
    panels = (
        Panel(
            "Training images in the right class",
            (Metric("classifier/accuracy", "unchanged"), Metric("classifier/attacked_accuracy", "attacked")),
            limits=(0, 1),
        ),
        Panel(
            "Cross-entropy of training images [nats]",
            (Metric("classifier/clean_loss", "unchanged"), Metric("classifier/attacked_loss", "attacked")),
            limits=(0, None),
        ),
        Panel("Minimized loss [nats]", (Metric("classifier/loss", "loss"),), drawn=False),
    )
    config: ImageClassifierConfig

    def __init__(self, shape: ImageShape, config: ImageClassifierConfig | None = None):
        config = config or ImageClassifierConfig()
        super().__init__(shape, config)
        if shape.n_classes < 2:
            raise problem("images of at least 2 classes", f"{shape.n_classes}", "use labeled data, or another model")
        sizes = ClassifierConfig(widths=config.widths, n_features=config.n_features)
        self.network = Classifier(shape.chw, shape.n_classes, sizes)

    def players(self) -> Sequence[Player]:
        attacks = self.config.adversarial != "none"
        parameters, rate = self.network.parameters(), self.config.learning_rate
        return (Player("classifier", parameters, self.loss, rate, second_gradients=attacks),)

    def loss(self, images: Tensor, labels: Tensor | None = None) -> Terms:
        """Cross-entropy, of unchanged and attacked images in adversarial training."""
        if labels is None:
            raise problem("images with labels for a classifier", "none", "give labels to the update")
        if self.config.adversarial == "none":
            logits = full_precision(self.network(images))
            loss = F.cross_entropy(logits, labels)
            return {"loss": loss, "clean_loss": loss, "accuracy": _right(logits, labels)}
        attack = self._attack(self.config.adversarial, self.config.pgd_steps)
        both = torch.cat([images, self._attacked(attack, images, labels)])
        logits, attacked = full_precision(self.network(both)).chunk(2)
        clean_loss, attacked_loss = (F.cross_entropy(each, labels) for each in (logits, attacked))
        return {
            "loss": adversarial_objective(clean_loss, attacked_loss, self.config.clean_share),
            "clean_loss": clean_loss,
            "attacked_loss": attacked_loss,
            "accuracy": _right(logits, labels),
            "attacked_accuracy": _right(attacked, labels),
        }

    @torch.no_grad()
    def class_logits(self, images: Tensor) -> Tensor:
        """Logits [B, K]."""
        return self.network(images)

    def attacked(self, images: Tensor, labels: Tensor, attack: AttackName) -> Tensor:
        """Images [B, C, H, W] in [0, 1], each changed by at most epsilon per pixel against its label, no gradient."""
        return self._attacked(self._attack(attack, self.config.measured_steps), images, labels)

    def _attack(self, name: AttackName, steps: int) -> Attack:
        return attack_of(name, self.config.epsilon, steps=steps, low=0.0, high=1.0)

    def _attacked(self, attack: Attack, images: Tensor, labels: Tensor) -> Tensor:
        return attack(lambda seen: F.cross_entropy(self.network(seen), labels, reduction="sum"), images, self.network)


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    """Share of the rows in the right class."""
    return (logits.argmax(-1) == labels).float().mean()
