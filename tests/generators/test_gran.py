"""GRAN: its recurrence against the paper's formulas, and its limit of one step."""

import pytest
import torch
from torch import nn

from rlgen.errors import InputError
from rlgen.generators import GRAN, GRANConfig, ImageShape, PenaltyConfig, Trainer
from rlgen.generators.image_model import Decoder, DrawsInSteps, HasFeatures
from rlgen.generators.pictures import grids

SMALL = ImageShape(channels=1, height=8, width=8)


def gran(shape: ImageShape = SMALL, **settings: object) -> GRAN:
    torch.manual_seed(0)
    return GRAN(shape, GRANConfig(**{"latent": 3, "width": 4} | settings))  # type: ignore[arg-type]


@torch.no_grad()
def test_an_image_is_the_sigmoid_of_the_sum_of_what_is_drawn_from_noise_and_the_code_of_the_step_before() -> None:
    model = gran(steps=3).eval()
    for parameter in model.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    generator, latents = model.generator, model.prior(5)
    assert generator.encoder is not None
    noise, code, drawn = latents @ generator.noise[0].weight.T + generator.noise[0].bias, torch.zeros(5, 3), []
    for step in range(3):
        hidden = torch.cat([noise.tanh(), code], 1)
        for layer in generator.decoder:
            hidden = layer[step](hidden) if isinstance(layer, nn.ModuleList) else layer(hidden)
        drawn.append(hidden)
        code = generator.encoder(hidden)
        assert code.abs().max() <= 1
    torch.testing.assert_close(model.decode(latents), sum(drawn).sigmoid())  # type: ignore[union-attr]
    assert not torch.allclose(drawn[0], drawn[1])


def test_every_step_has_its_own_batch_norm_and_shares_all_other_weights() -> None:
    one, three = (dict(gran(steps=steps).generator.named_parameters()) for steps in (1, 3))
    added = {name for name in three.keys() - one.keys() if not name.startswith("encoder")}
    assert added == {f"decoder.2.{step}.{part}" for step in (1, 2) for part in ("weight", "bias")}
    model = gran(steps=3)
    model.generator(model.prior(16))
    norms = model.generator.decoder[2]
    assert not torch.equal(norms[0].running_var, norms[1].running_var)


def test_a_single_step_is_a_generator_without_a_code() -> None:
    model = gran(steps=1)
    assert model.generator.encoder is None
    model.eval()
    latents = model.prior(4)
    with torch.no_grad():
        hidden = torch.cat([model.generator.noise(latents), torch.zeros(4, 3)], 1)
        for layer in model.generator.decoder:
            hidden = layer[0](hidden) if isinstance(layer, nn.ModuleList) else layer(hidden)
    torch.testing.assert_close(model.decode(latents), hidden.sigmoid())
    assert "stages" not in grids(model, torch.rand(4, 1, 8, 8), seed=0)


def test_it_draws_decodes_and_has_the_features_of_a_dcgan() -> None:
    model = gran(ImageShape(channels=3, height=16, width=8), steps=2).eval()
    for protocol in (Decoder, DrawsInSteps, HasFeatures):
        assert isinstance(model, protocol)
    torch.manual_seed(1)
    stages = model.stages(4)
    torch.manual_seed(1)
    torch.testing.assert_close(stages[-1], model.sample(4))
    assert stages.shape == (2, 4, 3, 16, 8)
    assert 0 <= stages.min() <= stages.max() <= 1
    assert model.features(torch.rand(4, 3, 16, 8)).shape[0] == 4


def test_one_brightness_is_learned() -> None:
    model = gran(steps=2, generator_rate=2e-3, discriminator_rate=2e-3)
    game = Trainer(model)
    for _ in range(100):
        game.update(0.2 + 0.05 * torch.rand(16, 1, 8, 8))
    with game.evaluating() as trained:
        assert float(trained.sample(64).mean()) == pytest.approx(0.225, abs=0.08)


@pytest.mark.parametrize("settings", [{"steps": 0}, {"width": 0}, {"penalties": PenaltyConfig(r1=0.1)}], ids=str)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        GRANConfig(**settings)


def test_images_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(InputError, match="an even height"):
        gran(ImageShape(channels=1, height=7, width=7))
