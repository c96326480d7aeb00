"""Generative adversarial networks: their losses, their networks, their settings."""

import pytest
import torch
from torch.nn import functional as F

from rlgen.equations.divergences import GENERATOR_DIVERGENCES
from rlgen.errors import InputError
from rlgen.generators import (
    DCGAN,
    GAN,
    CGANConfig,
    DCGANConfig,
    GANConfig,
    ImageShape,
    LAPGANConfig,
    PenaltyConfig,
    Trainer,
    TrainerConfig,
)
from rlgen.generators.image_model import Decoder, HasFeatures
from rlgen.nn import Bottleneck, Entropy, HistoricalAverage, Quantize

SMALL = ImageShape(channels=1, height=8, width=8, n_classes=10)


def small_gan(**settings: object) -> GAN:
    torch.manual_seed(0)
    config = GANConfig(latent=3, generator_hidden=(6,), discriminator_hidden=(5,), **settings)  # type: ignore[arg-type]
    return GAN(SMALL, config)


def test_the_losses_are_those_of_the_paper() -> None:
    model = small_gan(penalties=PenaltyConfig())
    images = torch.rand(4, 1, 8, 8)
    torch.manual_seed(5)
    terms = model.discriminator_loss(images)
    torch.manual_seed(5)
    fakes = model.sample(4)
    real, fake = (model.discriminator(each).sigmoid() for each in (images, fakes))
    assert terms["loss"].item() == pytest.approx(-(real.log().mean() + (1 - fake).log().mean()).item(), rel=1e-5)
    torch.manual_seed(5)
    assert model.generator_loss(images)["loss"].item() == pytest.approx(-fake.log().mean().item(), rel=1e-5)


def test_the_discriminators_loss_reaches_no_weight_of_the_generator() -> None:
    model = small_gan()
    model.discriminator_loss(torch.rand(4, 1, 8, 8))["loss"].backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    assert all(parameter.grad is not None for parameter in model.discriminator.parameters())


@pytest.mark.parametrize("divergence", GENERATOR_DIVERGENCES)
def test_every_divergence_is_played(divergence: str) -> None:
    model = small_gan(divergence=divergence)
    game = Trainer(model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    logs = [game.update(torch.rand(8, 1, 8, 8)) for _ in range(3)][-1]
    assert 0 <= logs["discriminator/real_accuracy"] <= 1
    for side in ("generator", "discriminator"):
        assert any(not torch.equal(before[k], v) for k, v in model.state_dict().items() if k.startswith(side))


def test_the_penalty_that_is_asked_for_is_in_the_loss() -> None:
    model = small_gan(dropout=0.0, penalties=PenaltyConfig(r1=3.0))
    images = torch.rand(4, 1, 8, 8).requires_grad_()
    (gradient,) = torch.autograd.grad(model.logit(images).sum(), images)
    terms = model.discriminator_loss(images.detach())
    assert terms["penalty"].item() == pytest.approx(1.5 * gradient.square().flatten(1).sum(1).mean().item(), rel=1e-4)
    assert terms["loss"].item() == pytest.approx((terms["divergence"] + terms["penalty"]).item())


def test_a_penalty_with_a_state_learns_with_the_discriminator_and_is_saved() -> None:
    images = torch.rand(8, 1, 8, 8)
    models = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        config = GANConfig(latent=3, generator_hidden=(6,), discriminator_hidden=(5,))
        bottleneck = Bottleneck(latent=2, limit=0.0, step_size=1.0)
        models.append(GAN(SMALL, config, [bottleneck, HistoricalAverage(weight=0.1)]))
    game, other = map(Trainer, models)
    logs = [game.update(images) for _ in range(3)][-1]
    assert logs["discriminator/bottleneck_beta"] > 0
    saved = game.state_dict()["model"]
    assert any(name.endswith("beta") for name in saved)
    assert any(name.endswith("mean") for name in saved)
    other.load_state_dict(game.state_dict())
    for each in (game, other):
        torch.manual_seed(9)
        each.update(images)
    assert all(torch.equal(game.state_dict()["model"][name], other.state_dict()["model"][name]) for name in saved)


def test_penalties_with_a_state_learn_in_bfloat16() -> None:
    config = GANConfig(latent=3, generator_hidden=(6,), discriminator_hidden=(5,))
    for penalties in ([Quantize(codes=4)], [Quantize(codes=4), Bottleneck(latent=2), HistoricalAverage()]):
        torch.manual_seed(0)
        model = GAN(SMALL, config, penalties)
        game = Trainer(model, TrainerConfig(precision="bfloat16"))
        before = {name: value.clone() for name, value in model.named_buffers()}
        logs = [game.update(torch.rand(8, 1, 8, 8)) for _ in range(2)][-1]
        assert all(value.dtype == torch.float32 for value in logs.values())
        moved = {name.rpartition(".")[2] for name, value in model.named_buffers() if (before[name] != value).any()}
        assert {"codebook", "count"} <= moved
        assert len(penalties) == 1 or "mean" in moved


def test_the_usage_of_a_codebook_is_that_of_many_turns() -> None:
    torch.manual_seed(0)
    config = GANConfig(latent=3, generator_hidden=(6,), discriminator_hidden=(5,))
    game = Trainer(GAN(SMALL, config, [Quantize(codes=64)]))
    logs = [game.update(torch.rand(4, 1, 8, 8)) for _ in range(30)]
    assert float(logs[0]["discriminator/codebook_usage"]) <= 8 / 64, "no more codes than real and generated images"
    assert float(logs[-1]["discriminator/codebook_usage"]) > 16 / 64


@pytest.mark.parametrize(
    "penalty",
    [
        {"gradient": 1.0}, {"entropy": 1e-3}, {"spectral_norm": True}, {"bottleneck": 0.5}, {"quantize": 4},
        {"historical_average": 0.1}, {"proximal": 0.1}, {"r1": 0.1}, {"input_dropout": 0.1}, {"fgsm": 0.1},
    ],
    ids=str,
)  # fmt: skip
def test_the_penalties_of_imitation_serve_images(penalty: dict) -> None:
    game = Trainer(small_gan(penalties=PenaltyConfig(**penalty)))
    logs = [game.update(torch.rand(4, 1, 8, 8)) for _ in range(2)][-1]
    assert logs["discriminator/penalty"].isfinite()


@pytest.mark.parametrize("config", [CGANConfig, LAPGANConfig])
@pytest.mark.parametrize("penalty", [{"bottleneck": 0.5}, {"quantize": 4}])
def test_a_penalty_that_cannot_see_the_condition_is_refused(config: type, penalty: dict) -> None:
    with pytest.raises(InputError, match="sees images alone"):
        config(penalties=PenaltyConfig(**penalty))


def test_a_penalty_of_ones_own_says_that_it_takes_gradients_of_gradients() -> None:
    class Own(Entropy):
        second_gradients = True

    for penalty in (Own(), Entropy()):
        (discriminator, _) = GAN(SMALL, GANConfig(latent=3), [penalty]).players()
        assert discriminator.second_gradients is hasattr(penalty, "second_gradients")


@pytest.mark.parametrize("side", [8, 16, 28])
def test_a_dcgan_fits_the_size_of_the_images(side: int) -> None:
    torch.manual_seed(0)
    shape = ImageShape(channels=3, height=side, width=side)
    model = DCGAN(shape, DCGANConfig(latent=4, width=4))
    made = model.sample(5)
    assert made.shape == (5, 3, side, side)
    assert 0 <= made.min() <= made.max() <= 1
    assert model.logit(made).shape == (5,)
    blocks = {8: 1, 16: 2, 28: 2}[side]
    assert model.features(made).shape == (5, 16 * sum(4 * 2**n for n in range(blocks)))


def test_a_dcgans_features_are_the_largest_outputs_of_each_cell() -> None:
    torch.manual_seed(0)
    model = DCGAN(ImageShape(channels=1, height=16, width=16), DCGANConfig(latent=2, width=3)).eval()
    images = torch.rand(2, 1, 16, 16)
    with torch.no_grad():
        first = model.discriminator[1](2 * images - 1)  # [2, 3, 8, 8]
        second = model.discriminator[2](first)  # [2, 6, 4, 4]
    expected = torch.cat([F.max_pool2d(first, 2).flatten(1), second.flatten(1)], 1)
    torch.testing.assert_close(model.features(images), expected)


def test_a_gans_features_are_its_last_hidden_layer() -> None:
    model = small_gan().eval()
    images = torch.rand(3, 1, 8, 8)
    features = model.features(images)
    assert features.shape == (3, 5)
    torch.testing.assert_close(model.discriminator[-1](features).squeeze(-1), model.logit(images))


def test_images_that_cannot_be_halved_and_penalties_across_rows_are_refused() -> None:
    with pytest.raises(InputError, match="an even height"):
        DCGAN(ImageShape(channels=1, height=9, width=8))
    with pytest.raises(InputError, match="batch norm"):
        DCGANConfig(penalties=PenaltyConfig(gradient=1.0))
    DCGANConfig(penalties=PenaltyConfig(gradient=1.0), batch_norm=False)


def test_what_a_gan_can_do_is_told_by_its_methods() -> None:
    assert isinstance(small_gan(), Decoder)
    assert isinstance(small_gan(), HasFeatures)


@pytest.mark.parametrize(
    "settings",
    [{"latent": 0}, {"divergence": "fairl"}, {"generator_rate": 0.0}, {"dropout": 1.0}, {"pieces": 0}],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        GANConfig(**settings)
