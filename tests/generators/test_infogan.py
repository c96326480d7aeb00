"""InfoGANs."""

import math

import pytest
import torch
from torch.nn import functional as F

from rlgen.errors import InputError
from rlgen.generators import ImageShape, InfoGAN, InfoGANConfig, PenaltyConfig, Trainer
from rlgen.generators.image_model import InfersCategory
from rlgen.generators.pictures import grids
from rlgen.system.rng import own_randomness

SMALL = ImageShape(channels=1, height=8, width=8)


def small_infogan(**settings: object) -> InfoGAN:
    torch.manual_seed(0)
    settings = {"latent": 3, "categories": 4, "width": 3, "hidden": 6, "guess_hidden": 5} | settings
    return InfoGAN(SMALL, InfoGANConfig(**settings))  # type: ignore[arg-type]


def test_the_information_about_the_category_rises_to_nearly_all_there_is() -> None:
    torch.manual_seed(0)
    config = InfoGANConfig(
        latent=4, uniform_codes=1, width=8, hidden=32, guess_hidden=16, generator_rate=0.01, discriminator_rate=0.01
    )
    game, patterns = Trainer(InfoGAN(SMALL, config)), torch.rand(10, 1, 8, 8).round()
    found = [float(game.update(patterns[torch.randint(10, (64,))])["generator/information"]) for _ in range(150)]
    assert abs(found[0]) < 0.1 * math.log(10)
    assert sum(found[-10:]) / 10 > 0.9 * math.log(10)
    assert max(found) <= math.log(10)


def uniform_bound(r2: torch.Tensor, std: float) -> float:
    """The bound about two uniform codes guessed with a fixed deviation, of the share of variance that is guessed."""
    missed = 2 * (1 - r2.item()) / 3
    return 2 * math.log(2 / (std * math.sqrt(2 * math.pi))) - missed / (2 * std**2)


def test_the_information_is_in_the_losses_of_both_players() -> None:
    with_it, without = (small_infogan(information=weight, uniform_information=2 * weight) for weight in (3.0, 0.0))
    images = torch.rand(8, 1, 8, 8)
    for loss in ("discriminator_loss", "generator_loss"):
        terms = []
        for model in (with_it, without):
            torch.manual_seed(5)
            terms.append(getattr(model, loss)(images))
        gain = 3.0 * terms[0]["information"] + 6.0 * uniform_bound(terms[0]["uniform_r2"], 1.0)
        assert terms[0]["loss"].item() == pytest.approx((terms[1]["loss"] - gain).item(), rel=1e-5)


def test_the_guess_learns_with_the_discriminator_and_reaches_the_generator() -> None:
    model = small_infogan()
    discriminator, generator = model.players()
    assert {id(each) for each in model.guess.parameters()} <= {id(each) for each in discriminator.trained}
    assert not {id(each) for each in discriminator.trained} & {id(each) for each in generator.trained}
    information = model.generator_loss(torch.rand(8, 1, 8, 8))["information"]
    body = next(model.discriminator.parameters())
    reached = torch.autograd.grad(information, [body, *generator.trained], allow_unused=True)
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in (reached[0], reached[1]))


def test_the_bounds_are_those_of_the_codes_the_images_were_made_of() -> None:
    model = small_infogan(code_std=0.5)
    images = torch.rand(8, 1, 8, 8)
    torch.manual_seed(5)
    terms = model.generator_loss(images)
    torch.manual_seed(5)
    latents = model.prior(8)
    category, codes = latents[:, 3:7].argmax(-1), latents[:, 7:]
    logits, mean = model.guess(model.logit_and_features(model.generator(latents))[1]).split([4, 2], -1)
    assert terms["information"].item() == pytest.approx(
        math.log(4) - F.cross_entropy(logits, category).item(), rel=1e-4
    )
    log_prob = torch.distributions.Normal(mean, 0.5).log_prob(codes).sum(-1).mean()
    assert uniform_bound(terms["uniform_r2"], 0.5) == pytest.approx(2 * math.log(2) + log_prob.item(), rel=1e-4)


def test_a_latent_is_noise_a_category_and_uniform_codes() -> None:
    model = small_infogan()
    latents = model.prior(4_000)
    assert latents.shape == (4_000, 3 + 4 + 2)
    category = latents[:, 3:7]
    assert (category.sum(1) == 1).all()
    assert ((category == 0) | (category == 1)).all()
    assert ((category.mean(0) - 0.25).abs() < 0.05).all()
    others = torch.cat([latents[:, :3], latents[:, 7:]], 1)
    assert others.abs().max() <= 1
    assert float(others.var()) == pytest.approx(1 / 3, rel=0.05)
    asked = torch.tensor([2, 0, 3])
    assert model.prior(3, asked)[:, 3:7].argmax(-1).tolist() == [2, 0, 3]


def test_training_labels_do_not_become_codes() -> None:
    model, images = small_infogan(), torch.rand(8, 1, 8, 8)
    losses = []
    for labels in (None, torch.full((8,), 9)):
        torch.manual_seed(5)
        losses.append(model.discriminator_loss(images, labels)["loss"].item())
    assert losses[0] == losses[1]


def test_the_code_of_an_image_is_the_likeliest_guess() -> None:
    model, images = small_infogan().eval(), torch.rand(6, 1, 8, 8)
    hidden = model.discriminator(images)[:, 1:]
    assert torch.equal(model.infer_category(images), model.guess(hidden)[:, :4].argmax(-1))
    assert model.infer_category(images).dtype == torch.int64


def test_a_traversal_changes_one_code_from_column_to_column() -> None:
    model = small_infogan().eval()
    seen: list[torch.Tensor] = []
    model.generator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    assert model.traverse(3).shape == (12, 1, 8, 8)
    assert model.traverse(2, number=1, columns=5).shape == (10, 1, 8, 8)
    categories, codes = (latents.view(rows, -1, 9) for latents, rows in zip(seen, (3, 2), strict=True))
    assert torch.equal(categories[:, :, 3:7], torch.eye(4).expand(3, 4, 4))
    assert torch.equal(codes[0, :, 8], torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))
    for latents, changed in ((categories, {3, 4, 5, 6}), (codes, {8})):
        same = (latents == latents[:, :1]).all(0).all(0)
        assert {place for place in range(9) if not same[place]} == changed
    with pytest.raises(InputError, match="a uniform code below 2"):
        model.traverse(1, number=2)


def test_a_picture_has_a_column_for_each_code() -> None:
    model = small_infogan().eval()
    assert isinstance(model, InfersCategory)
    found = grids(model, torch.rand(40, 1, 8, 8), seed=3)
    assert set(found) == {"samples", "interpolation", "codes", "traversals"}
    assert found["codes"].columns == 4
    with own_randomness(3, torch.device("cpu")):
        assert torch.equal(found["codes"].images, model.traverse(8))


def test_without_uniform_codes_there_is_the_category_alone() -> None:
    model = small_infogan(uniform_codes=0)
    assert model.prior(2).shape == (2, 7)
    assert "uniform_r2" not in model.generator_loss(torch.rand(8, 1, 8, 8))


@pytest.mark.parametrize(
    "settings",
    [{"categories": 1}, {"uniform_codes": -1}, {"information": -1.0}, {"code_std": 0.0},
     {"penalties": PenaltyConfig(r1=1.0)}],
    ids=str,
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        InfoGANConfig(**settings)


def test_images_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(InputError, match="an even height"):
        InfoGAN(ImageShape(channels=1, height=9, width=9))
