"""Laplacian pyramids of GANs."""

import pytest
import torch

from rlgen.equations.gan_variants import doubled, halved
from rlgen.equations.penalties import r1
from rlgen.errors import InputError
from rlgen.generators import LAPGAN, ImageShape, LAPGANConfig, PenaltyConfig, Trainer, TrainerConfig
from rlgen.generators.image_model import Terms
from rlgen.runs.config import from_json, to_json

SMALL = ImageShape(channels=1, height=8, width=8)


def lapgan(side: int = 8, **settings: object) -> LAPGAN:
    torch.manual_seed(0)
    settings = {
        "latent": 2, "width": 4, "coarse_generator": (16,), "coarse_discriminator": (16,), "dropout": 0.0,
    } | settings  # fmt: skip
    shape = ImageShape(channels=1, height=side, width=side)
    return LAPGAN(shape, LAPGANConfig(**settings))  # type: ignore[arg-type]


def test_two_players_at_every_level() -> None:
    names = [player.name for player in lapgan(28).players()]
    assert names == [f"{side}_{size}" for size in (7, 14, 28) for side in ("discriminator", "generator")]
    assert len(lapgan(8).players()) == 4


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_level_sees_the_images_of_its_size_and_fakes_made_for_the_same_blurred_ones(index: int) -> None:
    model, images = lapgan(28, penalties=PenaltyConfig()), torch.rand(3, 1, 28, 28)
    seen: list[torch.Tensor] = []
    model.games[index].discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model.players()[2 * index].loss(images, None)
    expected = images
    for _ in range(2 - index):
        expected = halved(expected)
    torch.testing.assert_close(seen[0], expected)
    if index:
        blurred = doubled(halved(expected))
        torch.manual_seed(0)
        made: list[torch.Tensor] = []
        model.games[index].generator.register_forward_hook(lambda module, inputs, output: made.append(output))
        model.players()[2 * index].loss(images, None)
        torch.testing.assert_close(seen[-1], blurred + made[-1])


def test_a_sample_is_the_coarse_image_sharpened_level_by_level() -> None:
    model = lapgan(28).eval()
    coarsest, first, second = model.games
    torch.manual_seed(5)
    sample = model.sample(4)
    torch.manual_seed(5)
    with torch.no_grad():
        blurred = doubled(coarsest.generator(torch.randn(4, 2)))
        image = blurred + first.generator(torch.cat([blurred, torch.randn(4, 1, 14, 14)], 1))
        blurred = doubled(image)
        image = blurred + second.generator(torch.cat([blurred, torch.randn(4, 1, 28, 28)], 1))
    torch.testing.assert_close(sample, image.clamp(0, 1))


def test_levels_learn_independently() -> None:
    model = lapgan(28)
    everyone = dict(model.named_parameters())
    for index, player in enumerate(model.players()):
        for parameter in everyone.values():
            parameter.grad = None
        terms: Terms = player.loss(torch.rand(3, 1, 28, 28), None)
        terms["loss"].backward()
        reached = {name.split(".")[1] for name, parameter in everyone.items() if parameter.grad is not None}
        assert reached == {str(index // 2)}


def test_details_that_are_always_the_same_are_learned() -> None:
    # Even images of any brightness with a chequered pattern, which a halved image does not show.
    signs = (-1.0) ** (torch.arange(8)[:, None] + torch.arange(8))
    pattern = 0.2 * signs
    model = lapgan(generator_rate=2e-3, discriminator_rate=2e-3, penalties=PenaltyConfig(r1=1.0))
    game = Trainer(model, TrainerConfig(average=0.95))
    for _ in range(150):
        game.update(0.3 + 0.4 * torch.rand(16, 1, 1, 1) + pattern)
    with game.evaluating():
        samples = model.sample(200)
    brightness = samples.mean((1, 2, 3), keepdim=True)
    assert float(brightness.mean()) == pytest.approx(0.5, abs=0.1)
    assert float(((samples - brightness) * signs).mean()) == pytest.approx(0.2, rel=0.25)


def test_the_same_discriminator_has_the_same_penalty_at_every_level() -> None:
    config, images = LAPGANConfig(penalties=PenaltyConfig(r1=0.8)), torch.rand(5, 1, 28, 28)
    weights = torch.randn(49)

    def critic(coarse: torch.Tensor) -> torch.Tensor:
        return (coarse.flatten(1) * weights).sum(1).square()

    penalties = []
    for coarser, seen in ((0, images), (1, halved(images)), (2, halved(halved(images)))):

        def of_this_size(inputs: torch.Tensor, halvings: int = 2 - coarser) -> torch.Tensor:
            for _ in range(halvings):
                inputs = halved(inputs)
            return critic(inputs)

        penalties.append(config.of_level(coarser).penalties.r1 * r1(of_this_size, seen).item())
    assert penalties == pytest.approx([penalties[0]] * 3, rel=1e-4)
    assert [level.config.penalties.r1 for level in lapgan(28, penalties=config.penalties).games] == [0.05, 0.2, 0.8]


def test_an_earlier_run_goes_on_with_equal_penalties_and_without_batch_norm() -> None:
    earlier = LAPGANConfig(r1_per_level=1.0, coarse_batch_norm=False)
    assert not {"r1_per_level", "coarse_batch_norm"} & to_json(earlier).keys()
    assert from_json(LAPGANConfig, to_json(earlier)) == earlier
    assert from_json(LAPGANConfig, to_json(LAPGANConfig())) == LAPGANConfig() != earlier
    assert "generator.0.0.weight" in lapgan(coarse_batch_norm=False).games[0].state_dict()


def test_coarse_samples_of_a_new_generator_differ_more_with_batch_norm() -> None:
    stds = []
    for batch_norm in (False, True):
        coarse = lapgan(coarse_generator=(64, 64), latent=20, coarse_batch_norm=batch_norm).games[0]
        stds.append(coarse.fakes(200).std(0).mean().item())
    assert stds[1] > 3 * stds[0]


@pytest.mark.parametrize("settings", [{"width": 0}, {"dropout": 1.0}, {"coarse_generator": (0,)}, {"r1_per_level": 0}])
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        LAPGANConfig(**settings)


def test_images_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(InputError, match="an even height"):
        LAPGAN(ImageShape(channels=1, height=7, width=7))
