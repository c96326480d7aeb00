"""The sample-quality techniques of "Improved techniques for training GANs" (Salimans et al. 2016, 1606.03498)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from rlgen.checks import at_least
from rlgen.display import Metric, Panel
from rlgen.equations.divergences import DIVERGENCES, logistic_discriminator_loss, smoothed_discriminator_loss
from rlgen.errors import problem
from rlgen.generators.dcgan import coarse_numbers, convolutions, deconvolutions
from rlgen.generators.gan import AdversarialGame, AdversarialGameConfig
from rlgen.generators.image_model import ImageShape, Terms
from rlgen.nn.batch_norm import VirtualBatchNorm, WithReference
from rlgen.nn.conv import small_weights
from rlgen.nn.layers import MinibatchDiscrimination
from rlgen.nn.penalties import HistoricalAverage, Penalty, Remembering


@dataclass(frozen=True, kw_only=True)
class ImprovedGANConfig(AdversarialGameConfig):
    """Configuration of `ImprovedGAN`: sections 3.2 to 3.5 with the networks of a DCGAN. Feature matching, section 3.1,
    is in `SemiSupervisedGAN`."""

    width: int = 64
    """Channels after the first convolution, as in `DCGANConfig`."""
    kernels: int = 100
    """Number of minibatch-discrimination features per image (released code); 0: none."""
    kernel_size: int = 5
    """Dimension of an image's projection for each of these features (released code)."""
    reference: int = 100
    """Size of the reference batch of virtual batch norm, latents drawn once (section 3.5; the batch size of the
    released code); 0: ordinary batch norm."""
    real_target: float = 0.9
    """Target of the discriminator for real images, above 0.5 up to 1 (section 3.4); 1: no label smoothing."""
    historical: float = 1e-4
    """Weight, for both players, of the squared distance of the parameters from the mean of their past values (section
    3.3; the paper gives no value); 0: none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "width", "kernel_size")
        at_least(self, 0, "kernels", "reference", remedy="use 0 for none")
        if not 0.5 < self.real_target <= 1:
            raise problem("a real_target above 0.5, at most 1", str(self.real_target), "use e.g. 0.9, or 1 for none")
        if self.real_target != 1 and DIVERGENCES[self.divergence].discriminator_loss is not logistic_discriminator_loss:
            raise problem(
                "minimax, non_saturating or reverse_kl, whose discriminator has labels to be smoothed",
                f"the divergence {self.divergence}",
                "set real_target to 1",
            )
        if not 0 <= self.historical < math.inf:
            raise problem("historical of at least 0", str(self.historical), "use 0 for none")
        self.penalties.refuse_for_batch_norm("leave the penalty out, or use the model dcgan")


class ImprovedGAN(AdversarialGame):
    """A DCGAN with minibatch discrimination, virtual batch norm, one-sided label smoothing and historical averaging."""

    config_type = ImprovedGANConfig
    collapse_remedy = (
        "train for longer, lower the generator's learning rate, or raise kernels, the number of features that compare "
        "the images of a minibatch"
    )
    panels = (
        *AdversarialGame.panels,
        Panel(
            "Parts of the generator's loss",
            (Metric("generator/divergence", "divergence"), Metric("generator/penalty", "penalty")),
        ),
    )
    config: ImprovedGANConfig

    def __init__(
        self, shape: ImageShape, config: ImprovedGANConfig | None = None, penalties: Sequence[Penalty] | None = None
    ):
        config = config or ImprovedGANConfig()
        generator = _generator(shape, config)
        discriminator = _discriminator(shape, config)
        chosen = list(config.penalties.chosen() if penalties is None else penalties)
        if config.historical:
            chosen.append(HistoricalAverage(weight=config.historical))
            generator = Remembering(generator)
        super().__init__(shape, config, generator, discriminator, chosen)
        if config.real_target != 1:
            smoothed = partial(smoothed_discriminator_loss, real_target=config.real_target)
            self.divergence = self.divergence._replace(discriminator_loss=smoothed)

    def generator_loss(self, real: Tensor, labels: Tensor | None = None) -> Terms:
        """The generator's loss plus its historical-average penalty; updates the historical average."""
        terms = super().generator_loss(real, labels)
        if not isinstance(self.generator, Remembering):
            return terms
        distance = self.config.historical * self.generator.distance()
        self.generator.remember()
        return {**terms, "loss": terms["loss"] + distance, "divergence": terms["loss"], "penalty": distance}

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Outputs [B, F] of the convolutions, before minibatch discrimination."""
        for layer in self.body:
            if isinstance(layer, MinibatchDiscrimination):
                break
            images = layer(images)
        return images


def _generator(shape: ImageShape, config: ImprovedGANConfig) -> nn.Module:
    norm = VirtualBatchNorm if config.reference else nn.BatchNorm2d
    network = deconvolutions(shape, config.latent, config.width, norm)
    small_weights(network)
    return WithReference(network, torch.randn(config.reference, config.latent)) if config.reference else network


def _discriminator(shape: ImageShape, config: ImprovedGANConfig) -> nn.Sequential:
    features = coarse_numbers(shape, config.width)
    network = nn.Sequential(*convolutions(shape, config.width))
    if config.kernels:
        network.append(MinibatchDiscrimination(features, config.kernels, config.kernel_size))
    head = nn.Linear(features + config.kernels, 1)
    small_weights(nn.ModuleList([network, head]))
    with torch.no_grad():
        # The similarities are sums over the batch and would dominate all other features at the start.
        head.weight[:, features:].zero_()
    return network.append(head)
