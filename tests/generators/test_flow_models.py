"""NICE and Real NVP: densities against autograd and quadrature, inverses, and images of known entropy."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian
from torch.distributions import Normal, SigmoidTransform, TransformedDistribution, Uniform

from rlgen.data import ImageSet
from rlgen.errors import InputError
from rlgen.generators import NICE, ImageShape, NICEConfig, RealNVP, RealNVPConfig, Trainer
from rlgen.generators.flow_model import FlowModel
from rlgen.generators.image_model import Decoder, HasLogDensity, HasLogWeight, Reconstructs

PAIR = ImageShape(channels=1, height=1, width=2)
SHAPES = [
    ImageShape(channels=1, height=8, width=8),
    ImageShape(channels=3, height=7, width=5),
    ImageShape(channels=3, height=2, width=2),
]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_model = pytest.mark.parametrize("name", ["nice", "real_nvp"])


def model_of(name: str, shape: ImageShape, **settings: Any) -> FlowModel:
    torch.manual_seed(0)
    if name == "nice":
        return NICE(shape, NICEConfig(**{"hidden": (12,), **settings}))
    return RealNVP(shape, RealNVPConfig(**{"filters": 4, "blocks": 1, **settings}))


def moved(name: str, shape: ImageShape) -> FlowModel:
    """In double precision, with weights that are no longer the initial ones."""
    model = model_of(name, shape).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return model


def images(shape: ImageShape, n: int = 5) -> Tensor:
    return torch.randint(256, (n, *shape.chw), generator=torch.Generator().manual_seed(1)).float() / 255


ONE, OTHER_GIVEN_ONE = math.log2(192), math.log2(64)
"""Bits of the level of the first of two `pairs`, and of the second given the first."""


def pairs(n: int) -> Tensor:
    """Images of two pixels: a uniform level from 0 to 191, and one that is up to 63 levels brighter."""
    first = torch.randint(192, (n, 1, 1, 1))
    return torch.cat([first, first + torch.randint(64, first.shape)], -1) / 255


def logistic(z: Tensor) -> Tensor:
    edges = torch.zeros((), dtype=z.dtype), torch.ones((), dtype=z.dtype)
    return TransformedDistribution(Uniform(*edges), SigmoidTransform().inv).log_prob(z)


@every_shape
@every_model
def test_the_log_density_is_that_of_the_prior_and_autograds_jacobian(name: str, shape: ImageShape) -> None:
    model, x = moved(name, shape), torch.rand(2, *shape.chw, dtype=torch.float64)
    matrix = jacobian(lambda x: model.to_latents(x[None])[0][0], x[0]).reshape(shape.numbers, shape.numbers)
    z = model.to_latents(x)[0][0]
    prior = logistic(z) if name == "nice" else Normal(0.0, 1.0).log_prob(z)
    expected = prior.sum() + torch.linalg.slogdet(matrix).logabsdet
    torch.testing.assert_close(model.log_density_at(x)[0], expected)


@every_model
def test_the_density_integrates_to_one(name: str) -> None:
    model = moved(name, PAIR)
    low, high, places = (-45.0, 45.0, 900) if name == "nice" else (-0.05 / 0.9, 0.95 / 0.9, 400)
    step = (high - low) / places
    line = low + step * (torch.arange(places, dtype=torch.float64) + 0.5)
    with torch.no_grad():
        mass = model.log_density_at(torch.cartesian_prod(line, line).view(-1, 1, 1, 2)).exp().sum() * step**2
    assert float(mass) == pytest.approx(1, abs=2e-3)


@every_shape
@every_model
def test_a_trained_flow_has_an_inverse_to_a_hundred_thousandth(name: str, shape: ImageShape) -> None:
    model, batch = model_of(name, shape), images(shape, 50)
    trainer = Trainer(model)
    for _ in range(20):
        trainer.update(batch)
    with torch.no_grad():
        x = model.dequantized(batch)
        latents, _ = model.to_latents(x)
        assert latents.shape == (50, shape.numbers)
        assert (model.to_pixels(latents) - x).abs().max() < 1e-5
    assert torch.equal(model.decode(model.encode(batch)), batch), "the same levels"


@every_shape
@every_model
def test_samples_are_levels_and_interpolations_are_images(name: str, shape: ImageShape) -> None:
    model = model_of(name, shape)
    assert isinstance(model, HasLogDensity)
    assert isinstance(model, Decoder)
    assert not isinstance(model, HasLogWeight | Reconstructs)
    samples = model.sample(6)
    assert samples.shape == (6, *shape.chw)
    torch.testing.assert_close(samples * 255, (samples * 255).round())
    assert 0 <= samples.min() <= samples.max() <= 1
    begin, end = model.prior(2)
    middle = model.between(begin, end, torch.tensor([[0.0], [0.5], [1.0]]))
    torch.testing.assert_close(middle[[0, 2]], torch.stack([begin, end]), rtol=1e-4, atol=1e-4)
    assert model.decode(middle).shape == (3, *shape.chw)


@every_model
def test_a_latent_of_the_prior_has_the_variance_that_its_density_says(name: str) -> None:
    model = model_of(name, SHAPES[0])
    torch.manual_seed(1)
    drawn = model.prior(2_000)
    assert drawn.var().item() == pytest.approx(math.pi**2 / 3 if name == "nice" else 1, rel=0.02)
    expected = logistic(drawn) if name == "nice" else Normal(0.0, 1.0).log_prob(drawn)
    torch.testing.assert_close(model.prior_log_prob(drawn), expected.sum(1), rtol=1e-4, atol=1e-3)


@every_model
def test_pixels_that_depend_on_each_other_are_learned_to_nearly_their_entropy(name: str) -> None:
    model = model_of(name, PAIR, **({"hidden": (32, 32), "learning_rate": 3e-3} if name == "nice" else {"filters": 6}))
    trainer = Trainer(model)
    for _ in range(200):
        logs = trainer.update(pairs(100))
    with trainer.evaluating():
        density = model.log_density(pairs(20_000))
    error = density.std() / math.sqrt(len(density)) / (2 * math.log(2))
    bits = -(density.mean() + model.log_determinant) / (2 * math.log(2))
    together, apart = (ONE + OTHER_GIVEN_ONE) / 2, ONE  # the second pixel alone has more levels than the first
    assert bits >= together - 4 * error, "no model does better"
    assert bits <= (together + apart) / 2, "half of what the first pixel says of the second, at least"
    assert logs["flow/bits_per_dimension"].item() == pytest.approx(bits.item(), abs=0.2)


@every_model
def test_uniform_latents_of_a_uniform_density_cost_eight_bits(name: str) -> None:
    """The logged code length of x with log-density 0 everywhere."""
    model = model_of(name, SHAPES[1])
    model.log_density_at = lambda x: torch.zeros(len(x), requires_grad=True)  # type: ignore[method-assign]
    assert model.loss(images(SHAPES[1]))["bits_per_dimension"].item() == pytest.approx(8)


@every_model
def test_noise_is_new_each_time_and_the_density_of_an_image_does_not_depend_on_others(name: str) -> None:
    model, batch = model_of(name, SHAPES[0]), images(SHAPES[0], 20)
    Trainer(model).update(batch)
    assert model.training
    assert not torch.equal(model.log_density(batch), model.log_density(batch))
    x = model.dequantized(batch)
    with torch.no_grad():
        torch.testing.assert_close(model.log_density_at(x)[:3], model.log_density_at(x[:3]), rtol=1e-4, atol=1e-3)


def test_latents_of_nice_have_the_priors_deviation_before_the_first_update() -> None:
    digits = ImageSet.load("digits").floats(slice(500))
    model = model_of("nice", SHAPES[0])
    model.before_first_update(digits)
    with torch.no_grad():
        std = model.to_latents(model.dequantized(digits))[0].std(0)
    torch.testing.assert_close(std, torch.full((64,), math.pi / math.sqrt(3)), rtol=0.1, atol=0)


def test_pixels_that_never_vary_are_known_before_the_first_update() -> None:
    """Latents of uniform noise with the prior's deviation are those from 0 to 2π, scaled by 512 π."""
    model, black = model_of("nice", SHAPES[0], hidden=(500,)), torch.zeros(100, 1, 8, 8)
    model.before_first_update(black)
    z = torch.linspace(0, 2 * math.pi, 1_001, dtype=torch.float64)
    known = math.log(512 * math.pi) + float(torch.trapezoid(logistic(z), z)) / (2 * math.pi)  # at most log 256
    assert known == pytest.approx(4, abs=0.05)
    assert model.log_density(black).mean().item() == pytest.approx(known * 64, rel=0.1)


def test_real_nvp_standardizes_what_its_first_coupling_sees() -> None:
    digits = ImageSet.load("digits").floats(slice(500))
    model = model_of("real_nvp", SHAPES[0])
    before = model.log_density(digits).mean()
    model.before_first_update(digits)
    assert model.log_density(digits).mean() > before


@pytest.mark.slow
def test_real_nvp_beats_nice_of_equal_size_on_digits() -> None:
    train, test = (ImageSet.load("digits", split).floats() for split in ("train", "test"))
    shape = SHAPES[0]
    models = [NICE(shape, NICEConfig(hidden=(60, 60))), RealNVP(shape, RealNVPConfig(filters=6, blocks=1))]
    sizes = [sum(each.numel() for each in model.parameters()) for model in models]
    assert sizes[1] < sizes[0]
    densities = []
    for model in models:
        torch.manual_seed(0)
        trainer = Trainer(model)
        for step in range(150):
            trainer.update(train[torch.arange(step * 100, step * 100 + 100) % len(train)])
        densities.append(model.log_density(test).mean())
    assert densities[1] > densities[0]


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (NICEConfig, {"couplings": 2}),
        (NICEConfig, {"hidden": ()}),
        (NICEConfig, {"hidden": (0,)}),
        (NICEConfig, {"learning_rate": 0.0}),
        (RealNVPConfig, {"filters": 0}),
        (RealNVPConfig, {"blocks": 0}),
        (RealNVPConfig, {"scales": 0}),
        (RealNVPConfig, {"margin": 0.5}),
        (RealNVPConfig, {"margin": 0.0}),
        (RealNVPConfig, {"learning_rate": math.nan}),
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(kind: type, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        kind(**settings)


def test_one_number_cannot_be_divided() -> None:
    with pytest.raises(InputError, match="at least 2 numbers"):
        NICE(ImageShape(channels=1, height=1, width=1))
