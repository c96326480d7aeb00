"""Bits per dimension, where they are known on paper; and `rlgen train image` with a likelihood of levels."""

import json
import math
from pathlib import Path

import pytest
import torch

from rlgen.agents import cli
from rlgen.agents.image_metrics import likelihood_bounds
from rlgen.data import ImageSet
from rlgen.equations.gaussians import kl_gaussian
from rlgen.generators import GAN, VAE, GANConfig, ImageShape, PixelCNN, PixelCNNConfig, VAEConfig

SHAPE = ImageShape(channels=3, height=8, width=8)
PIXEL = ImageShape(channels=1, height=1, width=1)


def images(shape: ImageShape, levels: torch.Tensor) -> ImageSet:
    """One image of each level everywhere."""
    pixels = levels.to(torch.uint8)[:, None, None, None].expand(-1, *shape.chw)
    return ImageSet(pixels.contiguous(), torch.zeros(len(levels), dtype=torch.int64))


def constant(shape: ImageShape, decoded: list[float] | None = None, **settings: object) -> VAE:
    """Its decoder always says `decoded`, of every pixel, or zeros; its posterior is the prior."""
    model = VAE(shape, VAEConfig(latent=2, hidden=(4,), **settings))  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        if decoded is not None:
            pixels = shape.height * shape.width
            model.decoder[-1].bias.copy_(torch.tensor(decoded).repeat_interleave(pixels))
    return model


@pytest.mark.parametrize("samples", [1, 20])
def test_levels_that_are_all_as_likely_cost_eight_bits(samples: int) -> None:
    model = constant(SHAPE, likelihood="categorical")
    found = likelihood_bounds(model, images(SHAPE, torch.arange(256)), 256, samples)
    assert found["nll"] == pytest.approx(192 * math.log(256))
    assert found["bits_per_dimension"] == pytest.approx(8, abs=1e-6)


def test_a_posterior_that_is_not_the_prior_costs_its_divergence_in_bits() -> None:
    model = constant(SHAPE, likelihood="categorical")
    with torch.no_grad():
        model.posterior.head.bias.copy_(torch.tensor([3.0, -2.0, 0.0, 1.0]))
    one, two = (kl_gaussian(*torch.tensor(pair), 0.0, 1.0).item() for pair in ((3.0, 1.0), (-2.0, math.e)))
    found = likelihood_bounds(model, images(SHAPE, torch.arange(256).repeat(40)), 256 * 40)
    error = found["nll_standard_error"] / (192 * math.log(2))
    assert found["bits_per_dimension"] == pytest.approx(8 + (one + two) / (192 * math.log(2)), abs=4 * error)


def test_a_logistic_so_narrow_that_it_knows_the_level_costs_nothing() -> None:
    model = constant(SHAPE, [0.0, *[2 * 80 / 255 - 1] * 3, *[-9.0] * 3, *[0.0] * 3], likelihood="logistic", mixture=1)
    level, half, scale = 80, 1 / 255, math.exp(-7)
    expected = -math.log2(math.tanh(half / scale / 2))  # σ(half / s) - σ(-half / s)
    found = likelihood_bounds(model, images(SHAPE, torch.full((10,), level)), 10)
    assert found["bits_per_dimension"] == pytest.approx(expected, rel=1e-3)
    assert found["bits_per_dimension"] < 0.1


def test_dequantized_levels_cost_the_gaussians_cross_entropy() -> None:
    """8 bits and -log₂ N(x; m, s²) of x = (level + noise) / 256: the noise has the variance 1/12."""
    mean, std = 1 / (1 + math.exp(-0.4)), math.exp(-1.0)
    model = constant(SHAPE, [*[0.4] * 3, *[-1.0] * 3], likelihood="gaussian")
    levels = torch.arange(256).double()
    square = (((levels + 0.5) / 256 - mean).square() + 1 / (12 * 256**2)).mean().item()
    expected = 8 + math.log2(std * math.sqrt(2 * math.pi)) + square / (2 * std**2 * math.log(2))
    found = likelihood_bounds(model, images(SHAPE, torch.arange(256)), 256)
    assert found["bits_per_dimension"] == pytest.approx(expected, abs=1e-3)
    assert found["nll"] == pytest.approx(192 * math.log(2) * (expected - 8), abs=0.2), "nats of the density itself"


def test_a_level_that_a_gaussian_knows_costs_as_much_as_the_noise_is_not_gaussian() -> None:
    """½ log₂(2πe / 12), a quarter of a bit: the divergence of a uniform distribution from the Gaussian like it."""
    mean = math.log(100.5 / (256 - 100.5))
    model = constant(SHAPE, [*[mean] * 3, *[-20.0] * 3], likelihood="gaussian")
    found = likelihood_bounds(model, images(SHAPE, torch.full((2_000,), 100)), 2_000)
    error = found["nll_standard_error"] / (192 * math.log(2))
    expected = 0.5 * math.log2(2 * math.pi * math.e / 12)
    assert found["bits_per_dimension"] == pytest.approx(expected, abs=4 * error + 1e-5)


def test_many_samples_of_the_noise_leave_the_gaussians_mass_over_the_level() -> None:
    model = constant(PIXEL, [math.log(100.5 / (256 - 100.5)), -20.0], likelihood="gaussian")
    found = likelihood_bounds(model, images(PIXEL, torch.full((20,), 100)), 20, 2_000)
    expected = -math.log2(math.erf(math.sqrt(12) / 2 / math.sqrt(2)))  # half a level is √12 / 2 deviations
    assert found["bits_per_dimension"] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("likelihood", ["categorical", "logistic"])
def test_estimated_probabilities_of_all_levels_sum_to_one(likelihood: str) -> None:
    torch.manual_seed(0)
    model = VAE(PIXEL, VAEConfig(latent=2, hidden=(16,), likelihood=likelihood))
    with torch.no_grad():
        for parameter in model.decoder.parameters():
            parameter.mul_(3)
    every = images(PIXEL, torch.arange(256)).floats()
    prob = model.log_weight(every, 4_000).double().exp().sum(1)  # [samples], each an unbiased estimate of the sum
    assert prob.mean().item() == pytest.approx(1, abs=4 * prob.std().item() / math.sqrt(4_000))


def test_an_exact_likelihood_is_measured_as_it_is() -> None:
    torch.manual_seed(0)
    model = PixelCNN(SHAPE, PixelCNNConfig(width=3, depth=1, likelihood="categorical"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    found = likelihood_bounds(model, images(SHAPE, torch.arange(256)), 256, samples=5)
    assert found["nll"] == pytest.approx(192 * math.log(256))
    assert found["nll_standard_error"] == pytest.approx(0, abs=1e-3)
    assert found["bits_per_dimension"] == pytest.approx(8, abs=1e-6)


def test_models_of_no_levels_have_no_bits_per_dimension() -> None:
    found = images(SHAPE, torch.arange(4))
    binary = likelihood_bounds(VAE(SHAPE, VAEConfig(latent=2, hidden=(4,))), found, 4)
    assert set(binary) == {"nll", "nll_standard_error"}
    game = GAN(SHAPE, GANConfig(latent=2, generator_hidden=(4,), discriminator_hidden=(4,)))
    assert likelihood_bounds(game, found, 4) == {}


def test_a_run_shows_bits_per_dimension(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    options = """--data digits --threads 1 --device cpu --batch-size 16 --steps 3 --measured 20 --importance-samples 3
    --classifier none --vae.latent 2 --vae.hidden 8 --vae.likelihood logistic --vae.mixture 2 --vae.objective iwae
    --vae.samples 3"""
    assert cli.main(["train", "image", "--model", "vae", *options.split(), "--out", str(out)]) == 0
    measured = json.loads((out / "result.json").read_text())["metrics"]
    assert measured["bits_per_dimension"] == pytest.approx(measured["nll"] / (64 * math.log(2)))
    assert measured["nll_of"] == "digits", "of the levels, not binarized"
    assert "bits per dimension" in capsys.readouterr().out
    assert "Bits per dimension" in (out / "report.html").read_text()


def test_an_objective_that_cannot_be_weighted_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--iaf-vae.objective", "iwae", "--iaf-vae.samples", "5", "--steps", "3", "--out", str(tmp_path / "run")]
    try:
        code = cli.main(["train", "image", "--model", "iaf_vae", *options])
    except SystemExit as refused:  # by the parser
        code = refused.code
    assert code == 2
    printed = capsys.readouterr()
    said = " ".join((printed.err + printed.out).replace("│", " ").split())
    assert "expected beta 1 and free_bits 0 for the objective iwae; got beta 1 and free_bits 0.1" in said
    assert not (tmp_path / "run").exists()
