"""DDPM: what it learns, its bound where the answer is known, and its samples."""

import math

import pytest
import torch
from torch import Tensor

from rlgen.data import ImageSet
from rlgen.data.minibatches import Minibatches
from rlgen.equations.diffusion import end_divergence
from rlgen.errors import InputError
from rlgen.generators import DDPM, DDPMConfig, ImageShape, Trainer

SHAPE = ImageShape(channels=1, height=8, width=8)
SMALL = {"widths": (8, 8), "steps": 100, "sampled_steps": 20}


def knowing(model: DDPM, data: Tensor) -> DDPM:
    """With the best denoiser where all images are `data` [C, H, W] in [0, 1]."""

    def predicted(noisy: Tensor, steps: Tensor) -> Tensor:
        share = model.shares[steps][:, None, None, None]
        return (noisy - share.sqrt() * (2 * data - 1)) / (1 - share).sqrt()

    model.predicted = predicted  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_with_the_best_denoiser_samples_are_the_data(eta: float) -> None:
    data = torch.randint(256, SHAPE.chw) / 255
    model = knowing(DDPM(SHAPE, DDPMConfig(**{**SMALL, "sampled_steps": 100}, eta=eta)), data)
    torch.testing.assert_close(model.sample(3), data.expand(3, -1, -1, -1), atol=1e-4, rtol=0)


def test_with_the_best_denoiser_the_bound_is_nearly_certain() -> None:
    data = torch.randint(256, SHAPE.chw) / 255
    model = knowing(DDPM(SHAPE, DDPMConfig(widths=(8, 8), steps=1000)), data)
    found = model.bound(data.expand(20, -1, -1, -1))
    # After one step of noise the levels are known up to that noise.
    first = model.bound(data.expand(1, -1, -1, -1)).item()
    assert found.std().item() < 0.5
    assert found.mean().item() == pytest.approx(first, abs=0.5)


def test_the_bound_is_the_sum_of_its_terms() -> None:
    torch.manual_seed(0)
    model = DDPM(SHAPE, DDPMConfig(widths=(8, 8), steps=5, sampled_steps=5))  # predicts no noise at all
    data = torch.full((4000, *SHAPE.chw), 0.8)
    terms = [model.step_term(data, torch.full((4000,), step)).mean().item() for step in range(1, 5)]
    terms.append(model.level_term(data).mean().item())
    end = end_divergence(2 * data[:1] - 1, model.shares[-1]).item()
    assert model.bound(data).mean().item() == pytest.approx(sum(terms) - end, rel=0.01)


def test_steps_are_uniform_and_spread_evenly() -> None:
    torch.manual_seed(0)
    model = DDPM(SHAPE, DDPMConfig(**SMALL))
    assert model.even_steps(100).sort().values.tolist() == list(range(100))
    drawn = torch.cat([model.even_steps(3) for _ in range(10_000)])
    expected = len(drawn) / 100
    assert ((drawn.bincount(minlength=100) - expected).abs() < 5 * math.sqrt(expected)).all()


def test_steps_of_the_bound_have_their_probabilities_and_never_the_first() -> None:
    torch.manual_seed(0)
    model = DDPM(SHAPE, DDPMConfig(**SMALL))
    counts = torch.cat([model.likely_steps(7) for _ in range(5_000)]).bincount(minlength=100)
    assert counts[0] == 0
    expected = 35_000 * model.chances
    assert ((counts - expected).abs() < 6 * expected.sqrt() + 1).all()
    assert model.chances.sum().item() == pytest.approx(1)


def test_it_learns_to_remove_noise_and_draws_the_same_image_from_the_same_noise() -> None:
    torch.manual_seed(0)
    digits = ImageSet.load("digits")
    trainer = Trainer(DDPM(SHAPE, DDPMConfig(widths=(8, 8))))
    batches = Minibatches(digits, 64)
    losses = [float(trainer.update(*next(batches))["ddpm/loss"]) for _ in range(100)]
    assert sum(losses[-20:]) / 20 < 0.35 < losses[0]
    with trainer.evaluating() as model:
        latents = model.prior(4)
        images = model.decode(latents)
        assert images.shape == (4, 1, 8, 8)
        assert torch.equal(images, model.decode(latents))
        assert model.sample(2).min() >= 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"widths": (5,)}, "even numbers of channels"),
        ({"sampled_steps": 200, "steps": 100}, "at most as many sampled steps"),
        ({"eta": 1.5}, "eta between 0 and 1"),
        ({"steps": 1}, "steps of at least 2"),
    ],
)
def test_other_settings_are_refused(settings: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        DDPM(SHAPE, DDPMConfig(**settings))
