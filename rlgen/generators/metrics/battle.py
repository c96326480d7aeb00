"""Generative adversarial metric: two trained GANs compared by a battle, in which each discriminator classifies the
samples of the other's generator. Im et al. 2016 (1602.05110), section 4."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.equations.gan_variants import battle_winner, error_ratio
from rlgen.errors import problem
from rlgen.generators.gan import AdversarialGame
from rlgen.generators.image_model import ImageModel
from rlgen.generators.metrics.inception import in_pieces

TOLERANCE = 1.5
"""Factor by which the error rates on test images may differ; the paper gives no number."""

PIECE = 500
"""Samples drawn at a time."""


class Battle(NamedTuple):
    """Result of a battle. Error rates are shares of images, of the first and the second discriminator."""

    test_errors: tuple[float, float]
    """Shares of the test images that are taken for generated."""
    sample_errors: tuple[float, float]
    """Shares of the other model's samples that are taken for real."""
    test_ratio: float
    """r_test, the first of the test errors divided by the second."""
    sample_ratio: float
    """r_sample, the first of the sample errors divided by the second; below 1 the first model is better."""
    winner: int
    """1 or 2; 0 for a tie, also where the test errors differ too much to compare the models."""


def battle(
    first: ImageModel,
    second: ImageModel,
    images: Float[Tensor, "n c h w"],
    samples: int | None = None,
    tolerance: float = TOLERANCE,
) -> Battle:
    """Battle of two trained models in evaluation mode. Im et al. 2016 (1602.05110), eq. 6 to 8.

    `images`: test images that neither was trained on. `samples`: number of samples of each, by default as many. The
    metric compares pairs of a generator and a discriminator: a model may win because of either.
    """
    one, two = _comparable(first), _comparable(second)
    if not 1 <= tolerance < float("inf"):
        raise problem("a tolerance of at least 1", f"{tolerance}", "leave it out for the default")
    count = len(images) if samples is None else samples
    if count < 1:
        raise problem("at least one sample", f"{count}", "leave it out for as many as test images")
    test_errors = 1 - _taken_for_real(one, images), 1 - _taken_for_real(two, images)
    sample_errors = _taken_for_real(one, _samples(two, count)), _taken_for_real(two, _samples(one, count))
    test_ratio, sample_ratio = error_ratio(*test_errors), error_ratio(*sample_errors)
    winner = battle_winner(test_ratio, sample_ratio, tolerance)
    return Battle(test_errors, sample_errors, test_ratio, sample_ratio, winner)


def _samples(model: AdversarialGame, count: int) -> Tensor:
    return torch.cat([model.sample(min(PIECE, count - start)) for start in range(0, count, PIECE)])


def _taken_for_real(model: AdversarialGame, images: Tensor) -> float:
    """Share of the images whose logit is above 0."""
    return float((in_pieces(lambda piece: model.logit(piece).unsqueeze(-1), images) > 0).double().mean())


def _comparable(model: ImageModel) -> AdversarialGame:
    if not isinstance(model, AdversarialGame) or model.conditional:
        raise problem("GANs without labels", f"a {type(model).__name__}", "compare e.g. gan, dcgan and gran")
    if model.training:
        raise problem("models in evaluation mode", "a model in training mode", "call eval() of both before")
    return model
