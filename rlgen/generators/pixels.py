"""Distributions of an image given a decoder's outputs, in nats per image.

Shapes: S samples, B batch, C channels, H height, W width, P decoder outputs per pixel.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.equations.likelihoods import (
    LOGISTIC_PARAMETERS,
    bernoulli_log_prob,
    categorical_log_prob,
    discretized_logistic_mixture_log_prob,
    discretized_logistic_mixture_mean,
    discretized_logistic_mixture_sample,
)
from rlgen.equations.variational_bounds import dequantize
from rlgen.errors import problem
from rlgen.generators.image_model import ImageShape

LEVELS = 256
LEAST_LOG_STD = -math.log(LEVELS * math.sqrt(12))
"""Lower limit of log standard deviations, that of the dequantization noise: a narrower Gaussian never fits better."""


class Pixels(ABC):
    """A distribution of pixels, constructed as `Kind(shape, mixture)`."""

    numbers: int
    """P, decoder outputs per pixel."""
    log_determinant: float | None = 0.0
    """log |d x / d level| of the transform from levels to the x whose density `log_prob` is, nats per image; 0 for
    probabilities of the levels themselves, None without levels."""

    def __init__(self, shape: ImageShape, mixture: int):
        self.numbers = shape.channels

    @abstractmethod
    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        """Log-probabilities [S, B] of images [B, C, H, W] in [0, 1], given decoder outputs [S, B, P, H, W]."""

    @abstractmethod
    def mean(self, decoded: Tensor) -> Tensor:
        """The expected image [..., C, H, W] in [0, 1] for decoder outputs [..., P, H, W]."""


class DiscretePixels(Pixels):
    """Base class of distributions of levels, which have probabilities and samples."""

    joint = False
    """Whether the colors of a pixel have one joint distribution; otherwise they are independent given the outputs."""

    @abstractmethod
    def sample(self, decoded: Tensor) -> Tensor:
        """Images [..., C, H, W] in [0, 1], drawn for decoder outputs [..., P, H, W]."""


class Bernoulli(DiscretePixels):
    """Distribution of binary pixels; the decoder returns logits."""

    log_determinant = None

    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        return bernoulli_log_prob(images, decoded)

    def mean(self, decoded: Tensor) -> Tensor:
        return decoded.sigmoid()

    def sample(self, decoded: Tensor) -> Tensor:
        return decoded.sigmoid().bernoulli()


class Gaussian(Pixels):
    """Gaussian distribution of dequantized levels, with a learned standard deviation. Kingma & Welling 2014
    (1312.6114), appendix C.2.

    Every sample has separate dequantization noise. The noise is equivalent to a further latent whose prior and
    posterior are both uniform.
    """

    def __init__(self, shape: ImageShape, mixture: int):
        super().__init__(shape, mixture)
        self.numbers = 2 * shape.channels
        image = torch.zeros(1, *shape.chw, dtype=torch.float64)
        self.log_determinant = dequantize(image, image, LEVELS)[1].item()

    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        mean, log_std = decoded.chunk(2, -3)
        seen, _ = dequantize(level(images).expand_as(mean), torch.rand_like(mean), LEVELS)
        return gaussian_log_prob(seen, mean.sigmoid(), log_std.clamp(LEAST_LOG_STD, 0).exp()).sum((-3, -2, -1))

    def mean(self, decoded: Tensor) -> Tensor:
        """The expected image of the levels; the mean of the noise, half a level, is subtracted."""
        return ((decoded.chunk(2, -3)[0].sigmoid() * LEVELS - 0.5) / (LEVELS - 1)).clamp(0, 1)


class Categorical(DiscretePixels):
    """Categorical distribution of levels, with 256 logits per pixel and channel: P is [C, 256]."""

    def __init__(self, shape: ImageShape, mixture: int):
        super().__init__(shape, mixture)
        self.numbers = LEVELS * shape.channels

    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        return categorical_log_prob(level(images).long(), self.logits(decoded))

    def mean(self, decoded: Tensor) -> Tensor:
        shade = torch.linspace(0, 1, LEVELS, device=decoded.device, dtype=decoded.dtype)
        return self.logits(decoded).softmax(-1) @ shade

    def sample(self, decoded: Tensor) -> Tensor:
        probs = self.logits(decoded).softmax(-1)
        return probs.flatten(0, -2).multinomial(1).view(probs.shape[:-1]) / (LEVELS - 1)

    @staticmethod
    def logits(decoded: Tensor) -> Tensor:
        """Logits [..., C, H, W, 256] of decoder outputs [..., P, H, W]."""
        return decoded.unflatten(-3, (-1, LEVELS)).movedim(-3, -1)


class Logistic(DiscretePixels):
    """Mixture of `mixture` discretized logistics per pixel, for levels of grey or color."""

    joint = True

    def __init__(self, shape: ImageShape, mixture: int):
        super().__init__(shape, mixture)
        if shape.channels not in LOGISTIC_PARAMETERS:
            got = f"{shape.channels} channels"
            raise problem("images of 1 or 3 channels for the likelihood logistic", got, "use e.g. categorical")
        self.channels, self.numbers = shape.channels, mixture * LOGISTIC_PARAMETERS[shape.channels]

    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        return discretized_logistic_mixture_log_prob(images, decoded, LEVELS)

    def mean(self, decoded: Tensor) -> Tensor:
        return discretized_logistic_mixture_mean(decoded, self.channels)

    def sample(self, decoded: Tensor) -> Tensor:
        return level(discretized_logistic_mixture_sample(decoded, self.channels, LEVELS)) / (LEVELS - 1)


def level(images: Tensor) -> Tensor:
    """Levels 0 to 255 of images in [0, 1]."""
    return (images * (LEVELS - 1)).round()


def quantized(x: Tensor) -> Tensor:
    """Images in [0, 1] of the levels of which x is `dequantize`; an x outside [0, 1] has the level next to it."""
    return (x * LEVELS).floor().clamp(0, LEVELS - 1) / (LEVELS - 1)


DISCRETE: dict[str, type[DiscretePixels]] = {"bernoulli": Bernoulli, "categorical": Categorical, "logistic": Logistic}
PIXELS: dict[str, type[Pixels]] = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "categorical": Categorical,
    "logistic": Logistic,
}
