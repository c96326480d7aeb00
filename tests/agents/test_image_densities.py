"""`rlgen train image` with a normalizing flow: its exact density in result, curve and report."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rlgen.agents import cli
from rlgen.agents.image_metrics import likelihood_bounds, log_densities, require_finite_model
from rlgen.data import ImageSet
from rlgen.generators import NICE, VAE, ImageShape, NICEConfig, Trainer, VAEConfig
from rlgen.generators.trainer import Diverged
from rlgen.runs import load_image_model, read_metrics

OPTIONS = """--data digits --threads 1 --device cpu --batch-size 16 --steps 4 --evaluate-every 2 --log-every 1
--measured 40 --classifier none"""
SIZES = {"nice": "--nice.hidden 8", "real_nvp": "--real-nvp.filters 2 --real-nvp.blocks 1"}
SHAPE = ImageShape(channels=1, height=8, width=8)


@pytest.mark.parametrize("model", SIZES)
def test_a_run_has_the_density_of_test_images_and_its_code_length(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["train", "image", "--model", model, *OPTIONS.split(), *SIZES[model].split(), "--out", str(out)]
    assert cli.main(command) == 0
    measured = json.loads((out / "result.json").read_text())["metrics"]
    nats = 64 * math.log(256) - measured["log_density"]
    assert measured["bits_per_dimension"] == pytest.approx(nats / (64 * math.log(2)))
    assert measured["log_density_standard_error"] > 0
    assert not {"nll", "elbo", "nll_importance_samples"} & measured.keys()
    rows = read_metrics(out)
    assert rows["step"][np.isfinite(rows["evaluation/log_density"])].tolist() == [2, 4]
    assert np.isfinite(rows["flow/bits_per_dimension"]).sum() == 4
    assert {path.name for path in out.glob("*.png")} == {"samples.png", "interpolation.png"}
    page = (out / "report.html").read_text()
    for said in ("Log-density of dequantized pixels", "Test images: log-density", "bits per dimension"):
        assert said in page
    assert "log-density of dequantized pixels" in capsys.readouterr().out
    assert load_image_model(out).sample(2).shape == (2, 1, 8, 8)


def test_a_density_that_is_one_everywhere_costs_eight_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    model = NICE(SHAPE, NICEConfig(hidden=(4,)))
    monkeypatch.setattr(model, "log_density", lambda images: torch.zeros(len(images)))
    found = log_densities(model, ImageSet.load("digits", "test"), 100)
    assert found == {"log_density": 0.0, "log_density_standard_error": 0.0, "bits_per_dimension": pytest.approx(8)}


def test_the_mean_and_its_error_are_those_of_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = NICE(SHAPE, NICEConfig(hidden=(4,))), ImageSet.load("digits", "test")
    seen: list[Tensor] = []
    monkeypatch.setattr(model, "log_density", lambda images: seen.append(images) or images.sum((1, 2, 3)))
    found = log_densities(model, images, 120)
    values = images.some(120).floats().sum((1, 2, 3)).double()
    assert sum(map(len, seen)) == 120
    assert found["log_density"] == pytest.approx(values.mean().item())
    assert found["log_density_standard_error"] == pytest.approx(values.std().item() / math.sqrt(120))


def test_only_an_exact_density_is_called_one() -> None:
    images = ImageSet.load("digits", "test")
    vae = VAE(SHAPE, VAEConfig(latent=2, hidden=(4,), likelihood="categorical"))
    assert log_densities(vae, images, 10) == {}
    assert likelihood_bounds(NICE(SHAPE, NICEConfig(hidden=(4,))), images, 10) == {}


def test_densities_that_are_not_finite_are_noticed() -> None:
    images = ImageSet.load("digits", "test").floats(slice(20))
    game = Trainer(NICE(SHAPE, NICEConfig(hidden=(4,))))
    game.update(images)
    require_finite_model(game, images)
    with pytest.raises(Diverged, match="densities of the model"):
        require_finite_model(game, images * torch.nan)
