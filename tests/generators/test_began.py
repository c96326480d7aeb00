"""Boundary equilibrium GANs."""

import pytest
import torch

from rlgen.errors import InputError
from rlgen.generators import BEGAN, BEGANConfig, ImageShape, Trainer, TrainerConfig
from rlgen.generators.began_start import NEWEST, GeneratorStart
from rlgen.runs.config import from_json, to_json

SMALL = ImageShape(channels=1, height=8, width=8)


def small_began(**settings: object) -> BEGAN:
    torch.manual_seed(0)
    settings = {"latent": 4, "filters": 4, "start": 0.0, "balance_rate": 1e-3} | settings
    return BEGAN(SMALL, BEGANConfig(**settings))  # type: ignore[arg-type]


def test_the_weight_follows_its_rule_after_every_update() -> None:
    model = small_began(ratio=0.7, balance_rate=0.1)
    weight = 0.4
    model.weight.fill_(weight)
    game = Trainer(model)
    for _ in range(3):
        logs = {name: float(value) for name, value in game.update(torch.rand(8, 1, 8, 8)).items()}
        real, fake = logs["discriminator/real_error"], logs["generator/loss"]
        assert logs["discriminator/loss"] == pytest.approx(real - weight * logs["discriminator/fake_error"], rel=1e-5)
        weight = min(1.0, max(0.0, weight + 0.1 * (0.7 * real - fake)))
        assert logs["balance/weight"] == pytest.approx(weight, rel=1e-5)
        assert logs["balance/convergence"] == pytest.approx(real + abs(0.7 * real - fake), rel=1e-5)
    assert 0 < weight != 0.4


def test_the_weight_is_saved_with_the_model() -> None:
    model = small_began(balance_rate=0.1)
    model.weight.fill_(0.4)
    Trainer(model).update(torch.rand(8, 1, 8, 8))
    again = small_began()
    again.load_state_dict(model.state_dict())
    assert float(again.weight) == float(model.weight) != 0.4


def test_the_weight_stays_within_its_limits_and_convergence_gets_better() -> None:
    model = small_began(generator_rate=0.01, discriminator_rate=0.01, balance_rate=0.5)
    game, patterns = Trainer(model), torch.rand(4, 1, 8, 8).round()
    found, weights = [], []
    for _ in range(120):
        logs = game.update(patterns[torch.randint(4, (32,))])
        found.append(float(logs["balance/convergence"]))
        weights.append(float(logs["balance/weight"]))
    assert sum(found[-10:]) < 0.6 * sum(found[:10])
    assert 0 <= min(weights) < max(weights) <= 1


def test_errors_are_mean_absolute_differences_in_minus_1_to_1() -> None:
    model, images = small_began(), torch.rand(3, 1, 8, 8)
    for layer in (model.decoder[-1],):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, 0.5)
    expected = (2 * images - 1.5).abs().mean((1, 2, 3))
    torch.testing.assert_close(model.errors(2 * images - 1), expected)
    torch.testing.assert_close(model.reconstruct(images), torch.full_like(images, 0.75))
    assert model.discriminator_loss(images)["real_error"].item() == pytest.approx(expected.mean().item())


def test_the_autoencoder_has_no_gradient_into_the_generator_and_the_generator_one_through_it() -> None:
    model, images = small_began(), torch.rand(4, 1, 8, 8)
    model.discriminator_loss(images)["loss"].backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())
    model.generator_loss(images)["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.generator.parameters())


def test_latents_are_uniform_and_images_bounded() -> None:
    model = small_began()
    latents = model.prior(2_000)
    assert latents.abs().max() <= 1
    assert float(latents.var()) == pytest.approx(1 / 3, rel=0.05)
    torch.nn.init.constant_(model.generator[-1].bias, 9.0)
    assert torch.equal(model.sample(3), torch.ones(3, 1, 8, 8))
    assert model.features(torch.rand(3, 1, 8, 8)).shape == (3, 4)


def test_the_generator_waits_as_the_decoder_until_the_autoencoder_reproduces_images() -> None:
    model = small_began(start=0.9, discriminator_rate=0.01, balance_rate=0.5)
    game, patterns, learned = Trainer(model), torch.rand(4, 1, 8, 8).round(), []
    for _ in range(200):
        waited, before = model.waits, [each.clone() for each in model.generator.parameters()]
        logs = game.update(patterns[torch.randint(4, (16,))])
        learned.append(float(logs["generator/learns"]))
        assert learned[-1] == (not waited)
        if waited:
            assert float(logs["balance/weight"]) == 0
            torch.testing.assert_close(model.generator[-1].weight, model.decoder[-1].weight)
        elif learned[-2]:
            assert any(not torch.equal(*pair) for pair in zip(before, model.generator.parameters(), strict=True))
    assert learned == sorted(learned)
    assert 5 < learned.index(1.0) < 195


def test_latents_of_a_generator_that_waits_have_the_mean_and_covariance_of_codes() -> None:
    torch.manual_seed(0)
    start = GeneratorStart(3)
    decoder, generator = (torch.nn.Sequential(torch.nn.Linear(3, 3)) for _ in range(2))
    torch.nn.init.eye_(decoder[0].weight)
    torch.nn.init.zeros_(decoder[0].bias)
    mixing, mean = torch.tensor([[1.0, 0.0, 0.0], [2.0, 1.0, 0.0], [0.0, -1.0, 0.5]]), torch.tensor([3.0, 0.0, -1.0])
    for _ in range(int(8 / NEWEST)):
        start.see(torch.randn(500, 3) @ mixing.T + mean, torch.rand(500, 1, 2, 2), torch.tensor(0.1))
    start.make(generator, decoder)
    made = generator(2 * torch.rand(100_000, 3) - 1).detach()
    torch.testing.assert_close(made.mean(0), mean, atol=0.05, rtol=0.02)
    torch.testing.assert_close(made.T.cov(), mixing @ mixing.T, atol=0.1, rtol=0.05)


def test_the_start_is_the_same_in_bfloat16_but_for_rounding() -> None:
    found = []
    for precision in ("float32", "bfloat16"):
        model = small_began(start=0.1)
        game = Trainer(model, TrainerConfig(precision=precision))  # type: ignore[arg-type]
        torch.manual_seed(1)
        for _ in range(3):
            game.update(torch.rand(16, 1, 8, 8))
        assert model.start.covariance.dtype == torch.float32
        found.append(torch.cat([model.start.mean, model.start.covariance.flatten(), model.start.error[None]]))
    torch.testing.assert_close(found[1], found[0], atol=0.02, rtol=0.05)


def test_an_earlier_run_goes_on_without_a_start() -> None:
    earlier = to_json(BEGANConfig(start=0.0))
    assert "start" not in earlier
    assert from_json(BEGANConfig, earlier).start == 0
    assert from_json(BEGANConfig, to_json(BEGANConfig())).start == BEGANConfig().start > 0
    assert not any(name.startswith("start") for name in small_began(start=0.0).state_dict())
    assert any(name.startswith("start") for name in small_began(start=0.5).state_dict())


@pytest.mark.parametrize("settings", [{"latent": 0}, {"ratio": 1.5}, {"balance_rate": 0.0}], ids=str)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        BEGANConfig(**settings)


def test_a_loaded_start_that_is_over_is_over() -> None:
    start, later = GeneratorStart(3), GeneratorStart(3)
    assert not start.over
    later.error.fill_(0.1)
    later.check(0.35)
    start.load_state_dict(later.state_dict())
    assert later.over
    assert start.over
