"""Distributions of an image given what a decoder says of its pixels, all in nats per image.

Shapes: S samples, B batch, C channels, H height, W width, P numbers that the decoder gives for each pixel.
"""

import math

import torch
from torch import Tensor

from rlgen.equations.bits_per_dimension import dequantise
from rlgen.equations.gaussians import gaussian_log_prob
from rlgen.equations.likelihoods import (
    LOGISTIC_PARAMETERS,
    bernoulli_log_prob,
    categorical_log_prob,
    discretised_logistic_mixture_log_prob,
    discretised_logistic_mixture_mean,
)
from rlgen.errors import problem
from rlgen.generators.image_model import ImageShape

LEVELS = 256
LEAST_LOG_STD = -math.log(LEVELS * math.sqrt(12))
"""The deviation of the noise that dequantises a level: a narrower Gaussian fits it worse, wherever it stands."""


class Pixels:
    """One choice of distribution, made as `Kind(shape, mixture)`."""

    numbers: int
    """P."""
    log_determinant: float | None = 0.0
    """log |d seen / d level| of what `log_prob` is a density of, nats per image; 0 for probabilities of the levels
    themselves, None where there are no levels."""

    def __init__(self, shape: ImageShape, mixture: int):
        self.numbers = shape.channels

    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        """Images [B, C, H, W] in [0, 1] given [S, B, P, H, W]: [S, B]."""
        raise NotImplementedError

    def mean(self, decoded: Tensor) -> Tensor:
        """The expected image [..., C, H, W] in [0, 1] of [..., P, H, W]."""
        raise NotImplementedError


class Bernoulli(Pixels):
    """Of zeros and ones, by logits."""

    log_determinant = None

    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        return bernoulli_log_prob(images, decoded)

    def mean(self, decoded: Tensor) -> Tensor:
        return decoded.sigmoid()


class Gaussian(Pixels):
    """Of levels with noise that fills the gaps between them (`dequantise`), with a learned deviation. Kingma & Welling
    2014 (1312.6114), appendix C.2.

    Every sample has noise of its own: it counts as one more latent, uniform before and after the image is seen.
    """

    def __init__(self, shape: ImageShape, mixture: int):
        super().__init__(shape, mixture)
        self.numbers = 2 * shape.channels
        image = torch.zeros(1, *shape.chw, dtype=torch.float64)
        self.log_determinant = dequantise(image, image, LEVELS)[1].item()

    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        mean, log_std = decoded.chunk(2, -3)
        seen, _ = dequantise(level(images).expand_as(mean), torch.rand_like(mean), LEVELS)
        return gaussian_log_prob(seen, mean.sigmoid(), log_std.clamp(LEAST_LOG_STD, 0).exp()).sum((-3, -2, -1))

    def mean(self, decoded: Tensor) -> Tensor:
        """That of the levels: the noise, half of one on average, is taken away."""
        return ((decoded.chunk(2, -3)[0].sigmoid() * LEVELS - 0.5) / (LEVELS - 1)).clamp(0, 1)


class Categorical(Pixels):
    """Of levels, each number of the image with 256 logits: P is [C, 256]."""

    def __init__(self, shape: ImageShape, mixture: int):
        super().__init__(shape, mixture)
        self.numbers = LEVELS * shape.channels

    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        return categorical_log_prob(level(images).long(), self.logits(decoded))

    def mean(self, decoded: Tensor) -> Tensor:
        shade = torch.linspace(0, 1, LEVELS, device=decoded.device, dtype=decoded.dtype)
        return self.logits(decoded).softmax(-1) @ shade

    @staticmethod
    def logits(decoded: Tensor) -> Tensor:
        """[..., C, H, W, 256]."""
        return decoded.unflatten(-3, (-1, LEVELS)).movedim(-3, -1)


class Logistic(Pixels):
    """Of levels of grey or colour, by a mixture of `mixture` discretised logistics for each pixel."""

    def __init__(self, shape: ImageShape, mixture: int):
        super().__init__(shape, mixture)
        if shape.channels not in LOGISTIC_PARAMETERS:
            came = f"{shape.channels} channels"
            raise problem("images of 1 or 3 channels for the likelihood logistic", came, "use e.g. categorical")
        self.channels, self.numbers = shape.channels, mixture * LOGISTIC_PARAMETERS[shape.channels]

    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        return discretised_logistic_mixture_log_prob(images, decoded, LEVELS)

    def mean(self, decoded: Tensor) -> Tensor:
        return discretised_logistic_mixture_mean(decoded, self.channels)


def level(images: Tensor) -> Tensor:
    """0 to 255 of images in [0, 1]."""
    return (images * (LEVELS - 1)).round()


PIXELS: dict[str, type[Pixels]] = {
    "bernoulli": Bernoulli,
    "gaussian": Gaussian,
    "categorical": Categorical,
    "logistic": Logistic,
}
