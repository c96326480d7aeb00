"""The techniques for better samples, one at a time."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rlgen.errors import InputError
from rlgen.generators import (
    DCGAN,
    DCGANConfig,
    ImageShape,
    ImprovedGAN,
    ImprovedGANConfig,
    PenaltyConfig,
    Trainer,
    TrainerConfig,
)
from rlgen.nn.penalties import Remembering

SMALL = ImageShape(channels=1, height=8, width=8)
NONE = {"kernels": 0, "reference": 0, "real_target": 1.0, "historical": 0.0}


def small(**settings: object) -> ImprovedGAN:
    torch.manual_seed(0)
    config = ImprovedGANConfig(latent=3, width=4, **{"kernels": 5, "reference": 4, **settings})  # type: ignore[arg-type]
    return ImprovedGAN(SMALL, config)


def test_real_images_have_a_smoothed_label_and_fakes_do_not() -> None:
    model, images = small(historical=0.0, real_target=0.8).eval(), torch.rand(6, 1, 8, 8)
    torch.manual_seed(2)
    loss = model.discriminator_loss(images)["loss"]
    torch.manual_seed(2)
    real, fake = model.logit(images), model.logit(model.sample(6))
    expected = F.binary_cross_entropy_with_logits(real, torch.full((6,), 0.8))
    expected = expected + F.binary_cross_entropy_with_logits(fake, torch.zeros(6))
    torch.testing.assert_close(loss, expected)


def test_an_image_is_judged_with_the_rest_of_its_batch() -> None:
    model = small().eval()  # without the batch norm's share in it
    images = torch.rand(6, 1, 8, 8)
    # It starts without regard to the others.
    torch.testing.assert_close(model.logit(images[:2]), model.logit(images)[:2])
    nn.init.ones_(model.discriminator.network[-1].weight)
    assert (model.logit(images[:2]) - model.logit(images)[:2]).abs().min() > 0.1
    plain = small(kernels=0).eval()
    nn.init.ones_(plain.discriminator.network[-1].weight)
    torch.testing.assert_close(plain.logit(images[:2]), plain.logit(images)[:2])


@pytest.mark.parametrize("reference", [0, 4])
def test_a_sample_depends_on_its_own_latent_and_the_reference_alone(reference: int) -> None:
    model = small(reference=reference).train()
    latents = torch.randn(6, 3)
    with torch.no_grad():
        alone, among = model.generator(latents[:3]), model.generator(latents)[:3]
    assert torch.allclose(alone, among, atol=1e-5) == bool(reference), "batch norm sees the others"


def test_both_players_are_held_near_their_past() -> None:
    model, images = small(historical=0.5), torch.rand(6, 1, 8, 8)
    game = Trainer(model)
    past: dict[str, list[torch.Tensor]] = {"generator": [], "discriminator": []}
    for _ in range(4):
        now = {side: getattr(model, side).parameters_now().detach().clone() for side in past}
        logs = game.update(images)
        for side, seen in past.items():
            # The mean begins with the parameters at the start, which the first turn finds unchanged.
            mean = torch.stack([seen[0], *seen]).mean(0) if seen else now[side]
            expected = 0.5 * (now[side] - mean).square().sum().item()
            assert logs[f"{side}/penalty"].item() == pytest.approx(expected, rel=1e-3, abs=1e-9)
            seen.append(now[side])
    assert expected > 0
    assert torch.allclose(logs["generator/loss"], logs["generator/divergence"] + logs["generator/penalty"]), (
        "and it is in the loss"
    )


def test_without_the_techniques_a_dcgan_is_left() -> None:
    torch.manual_seed(0)
    plain = DCGAN(SMALL, DCGANConfig(latent=3, width=4))
    model = small(**NONE)
    assert not isinstance(model.generator, Remembering)
    assert {k: v.shape for k, v in model.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    model.load_state_dict(plain.state_dict())
    images = torch.rand(6, 1, 8, 8)
    losses = []
    for each in (model, plain):
        torch.manual_seed(1)
        losses.append((each.discriminator_loss(images)["loss"].item(), each.generator_loss(images)["loss"].item()))
    assert losses[0] == losses[1]


@pytest.mark.parametrize("side", [8, 28])
def test_it_goes_on_bit_for_bit_from_a_saved_state(side: int) -> None:
    shape, images = ImageShape(channels=1, height=side, width=side), torch.rand(6, 1, side, side)
    games = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        config = ImprovedGANConfig(latent=3, width=4, kernels=5, reference=4, historical=0.1)
        games.append(Trainer(ImprovedGAN(shape, config), TrainerConfig(average=0.9)))
    for _ in range(2):
        games[0].update(images)
    saved = games[0].state_dict()
    for kept in ("generator.network.reference", "generator.mean", "discriminator.mean"):
        assert kept in saved["model"]
    games[1].load_state_dict(saved)
    for game in games:
        torch.manual_seed(7)
        game.update(images)
        game.update(images)
    one, other = (game.model.state_dict() for game in games)
    assert all(torch.equal(one[name], other[name]) for name in one)
    with games[1].evaluating() as model:
        made = model.sample(3)
    assert made.shape == (3, 1, side, side)
    assert 0 <= made.min() <= made.max() <= 1


def test_features_are_those_before_the_comparison() -> None:
    images = torch.rand(6, 1, 8, 8)
    model = small().eval()
    assert model.features(images).shape == (6, 4 * 4 * 4)
    torch.testing.assert_close(model.features(images[:2]), model.features(images)[:2])


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 0},
        {"kernels": -1},
        {"real_target": 0.5},
        {"historical": -1.0},
        {"divergence": "hinge"},
        {"penalties": PenaltyConfig(r1=1.0)},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        ImprovedGANConfig(**settings)


def test_another_divergence_goes_without_smoothing() -> None:
    assert small(divergence="hinge", real_target=1.0).discriminator_loss(torch.rand(6, 1, 8, 8))["loss"].isfinite()
