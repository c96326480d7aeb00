"""The generative adversarial metric: known discriminators and generators have known error rates."""

import math

import pytest
import torch
from torch import Tensor, nn

from rlgen.errors import InputError
from rlgen.generators import CGAN, VAE, AdversarialGame, AdversarialGameConfig, CGANConfig, ImageShape
from rlgen.generators.metrics.battle import battle

SHAPE = ImageShape(channels=1, height=1, width=1, n_classes=2)


class Threshold(nn.Module):
    """Takes images for real whose brightness is above a level."""

    def __init__(self, level: float):
        super().__init__()
        self.level = level

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) - self.level


class Gray(nn.Module):
    """Generates images of the brightness 0, 1/n, 2/n and so on up to a limit; keeps one parameter for the device."""

    def __init__(self, brightest: float):
        super().__init__()
        self.brightest = nn.Parameter(torch.tensor(brightest))

    def forward(self, latents: Tensor) -> Tensor:
        return self.brightest * torch.arange(len(latents)).view(-1, 1, 1, 1) / len(latents)


def game(level: float, brightest: float) -> AdversarialGame:
    discriminator = nn.Sequential(Threshold(level), nn.Identity())
    return AdversarialGame(SHAPE, AdversarialGameConfig(latent=1), Gray(brightest), discriminator).eval()


REAL = (torch.arange(100.0) / 100 + 0.005).view(100, 1, 1, 1)


def test_error_rates_are_shares_of_test_images_and_of_the_others_samples() -> None:
    found = battle(game(0.25, 1.0), game(0.5, 0.999), REAL, samples=200)
    assert found.test_errors == pytest.approx((0.25, 0.5))
    # The first takes all samples of the second above 0.25 for real; the second those of the first above 0.5.
    assert found.sample_errors == pytest.approx((0.745, 0.495), abs=0.006)
    assert found.test_ratio == pytest.approx(0.5)
    assert found.sample_ratio == pytest.approx(found.sample_errors[0] / found.sample_errors[1])


def test_with_equal_discriminators_the_generator_that_fools_the_other_more_often_wins() -> None:
    better, worse = game(0.5, 1.0), game(0.5, 0.6)
    assert battle(better, worse, REAL).winner == 1
    assert battle(worse, better, REAL).winner == 2


def test_a_model_against_itself_is_a_tie() -> None:
    model = game(0.3, 0.9)
    found = battle(model, model, REAL)
    assert (found.test_ratio, found.sample_ratio, found.winner) == (1.0, 1.0, 0)


def test_a_discriminator_that_accepts_nothing_does_not_win() -> None:
    found = battle(game(2.0, 0.9), game(0.3, 0.9), REAL)
    assert found.sample_ratio == 0
    assert found.winner == 0
    assert battle(game(2.0, 0.9), game(0.3, 0.9), REAL, tolerance=10).winner == 1


def test_a_flawless_opponent_makes_the_ratio_infinite() -> None:
    found = battle(game(0.3, 0.2), game(0.3, 0.9), REAL)
    assert found.sample_errors[1] == 0
    assert found.sample_ratio == math.inf
    assert found.winner == 2


def test_models_that_cannot_compete_are_refused() -> None:
    fine = game(0.5, 1.0)
    config = CGANConfig(latent=2, generator_hidden=(4, 4, 6), discriminator_hidden=(4, 3, 5), pieces=(2, 2))
    for other in (VAE(SHAPE).eval(), CGAN(SHAPE, config).eval()):
        with pytest.raises(InputError, match="without labels"):
            battle(fine, other, REAL)
    with pytest.raises(InputError, match="evaluation mode"):
        battle(fine, game(0.5, 1.0).train(), REAL)
    with pytest.raises(InputError, match="at least one sample"):
        battle(fine, fine, REAL, samples=0)
    with pytest.raises(InputError, match="tolerance"):
        battle(fine, fine, REAL, tolerance=0.5)
