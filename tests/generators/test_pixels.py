"""Distributions of pixels: torch's own, sums over all levels, and means."""

import math

import pytest
import torch
from torch.distributions import Categorical, Normal

from rlgen.errors import InputError
from rlgen.generators import ImageShape
from rlgen.generators.pixels import DISCRETE, LEAST_LOG_STD, LEVELS, PIXELS

PIXEL = ImageShape(channels=1, height=1, width=1)
SMALL = ImageShape(channels=3, height=2, width=4)
EVERY = (torch.arange(LEVELS) / (LEVELS - 1))[:, None, None, None]
"""One image [1, 1, 1] for each level."""


def test_categorical_pixels_are_worth_the_same_as_torchs() -> None:
    torch.manual_seed(0)
    images, decoded = torch.rand(2, *SMALL.chw), torch.randn(5, 2, 3 * LEVELS, 2, 4)
    pixels = PIXELS["categorical"](SMALL, 1)
    logits = decoded.reshape(5, 2, 3, LEVELS, 2, 4).movedim(3, -1)
    expected = Categorical(logits=logits).log_prob((images * 255).round())
    torch.testing.assert_close(pixels.log_prob(images, decoded), expected.sum((2, 3, 4)))
    torch.testing.assert_close(pixels.mean(decoded), (logits.softmax(-1) * torch.arange(LEVELS)).sum(-1) / 255)


def test_gaussian_pixels_are_torchs_of_levels_with_noise() -> None:
    torch.manual_seed(0)
    images, decoded = torch.rand(2, *SMALL.chw), torch.randn(5, 2, 6, 2, 4)
    torch.manual_seed(1)
    found = PIXELS["gaussian"](SMALL, 1).log_prob(images, decoded)
    torch.manual_seed(1)
    seen = ((images * 255).round() + torch.rand(5, 2, 3, 2, 4)) / 256
    std = decoded[:, :, 3:].clamp(LEAST_LOG_STD, 0).exp()
    expected = Normal(decoded[:, :, :3].sigmoid(), std).log_prob(seen).sum((2, 3, 4))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("likelihood", ["categorical", "logistic"])
def test_probabilities_of_all_levels_sum_to_one(likelihood: str) -> None:
    torch.manual_seed(0)
    pixels = PIXELS[likelihood](PIXEL, 3)
    assert pixels.log_determinant == 0
    decoded = 2 * torch.randn(10, 1, pixels.numbers, 1, 1, dtype=torch.float64)
    log_prob = pixels.log_prob(EVERY.double(), decoded.expand(-1, LEVELS, -1, -1, -1))
    torch.testing.assert_close(log_prob.exp().sum(1), torch.ones(10).double())


@pytest.mark.parametrize("likelihood", DISCRETE)
def test_samples_of_a_pixel_are_as_frequent_as_probable(likelihood: str) -> None:
    torch.manual_seed(0)
    pixels, count = DISCRETE[likelihood](PIXEL, 3), 50_000
    levels = EVERY if likelihood != "bernoulli" else EVERY[[0, -1]]
    decoded = torch.randn(1, pixels.numbers, 1, 1)
    prob = pixels.log_prob(levels, decoded.expand(len(levels), -1, -1, -1)).exp()
    drawn = pixels.sample(decoded.expand(count, -1, -1, -1))
    assert drawn.shape == (count, 1, 1, 1)
    share = (drawn.flatten()[:, None] == levels.flatten()).double().mean(0)
    assert share.sum().item() == pytest.approx(1), "each is a level"
    assert ((share - prob).abs() < 5 * (prob / count).sqrt() + 1e-4).all()


@pytest.mark.parametrize("likelihood", DISCRETE)
def test_samples_have_the_shape_and_the_mean_of_images(likelihood: str) -> None:
    torch.manual_seed(0)
    pixels = DISCRETE[likelihood](SMALL, 3)
    decoded = torch.randn(pixels.numbers, 2, 4)
    if likelihood == "logistic":
        decoded[12:21] -= 3.0  # so narrow that nothing is beyond black and white
    drawn = pixels.sample(decoded.expand(4_000, -1, -1, -1))
    assert drawn.shape == (4_000, *SMALL.chw)
    error = drawn.std(0) / math.sqrt(len(drawn))
    assert ((drawn.mean(0) - pixels.mean(decoded)).abs() < 5 * error + 1 / LEVELS).all()


def test_a_dequantized_level_has_the_gaussians_mass_over_its_bin() -> None:
    torch.manual_seed(0)
    pixels = PIXELS["gaussian"](PIXEL, 1)
    decoded = torch.tensor([0.3, -3.0], dtype=torch.float64)[:, None, None].expand(20_000, LEVELS, -1, -1, -1)
    prob = (pixels.log_prob(EVERY.double(), decoded) + pixels.log_determinant).exp()
    edges = torch.arange(LEVELS + 1).double() / LEVELS
    expected = Normal(torch.tensor(0.3).double().sigmoid(), math.exp(-3)).cdf(edges).diff()
    assert ((prob.mean(0) - expected).abs() <= 5 * prob.std(0) / math.sqrt(len(prob)) + 1e-9).all()


def test_levels_known_for_certain_are_the_gaussians_mean_image() -> None:
    """(level + 1/2) / 256 is the mean of what is seen of a level."""
    shown = torch.logit((torch.arange(LEVELS).double() + 0.5) / LEVELS)
    decoded = torch.stack([shown, torch.zeros(LEVELS)], 1)[..., None, None]
    torch.testing.assert_close(PIXELS["gaussian"](PIXEL, 1).mean(decoded), EVERY.double())


@pytest.mark.parametrize("channels", [1, 3])
def test_logistic_pixels_have_as_many_numbers_as_their_mixture_needs(channels: int) -> None:
    shape = ImageShape(channels=channels, height=2, width=4)
    pixels = PIXELS["logistic"](shape, 5)
    assert pixels.numbers == {1: 15, 3: 50}[channels]
    decoded = torch.randn(7, 2, pixels.numbers, 2, 4)
    assert pixels.log_prob(torch.rand(2, *shape.chw), decoded).shape == (7, 2)
    assert pixels.mean(decoded).shape == (7, 2, *shape.chw)


def test_a_mixture_of_logistics_is_refused_for_neither_grey_nor_color() -> None:
    with pytest.raises(InputError, match="1 or 3 channels for the likelihood logistic; got 2 channels"):
        PIXELS["logistic"](ImageShape(channels=2, height=1, width=1), 5)
