"""A run whose samples collapse says so in log, result and report; one whose samples vary does not."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rlgen.agents import cli
from rlgen.agents.image_metrics import collapse_of, sample_variety
from rlgen.data import ImageSet
from rlgen.generators import GAN, GENERATORS, VAE, GANConfig, ImageShape, VAEConfig
from rlgen.runs import Result, read_metrics

OPTIONS = """--model gan --data digits --threads 1 --device cpu --batch-size 16 --steps 6 --evaluate-every 2
--measured 200 --classifier none --gan.latent 3 --gan.generator-hidden 8 --gan.discriminator-hidden 8"""
Sampler = Callable[[GAN, int, Tensor | None], Tensor]
DIGITS = ImageSet.load("digits", "test")


def constant(model: GAN, n: int, labels: Tensor | None = None) -> Tensor:
    return torch.full((n, 1, 8, 8), 0.3)


def perfect(model: GAN, n: int, labels: Tensor | None = None) -> Tensor:
    images = ImageSet.load("digits", "train").floats()
    return images[torch.randint(len(images), (n,))]


def trained(out: Path, sampler: Sampler, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(GAN, "sample", sampler)
    assert cli.main(["train", "image", *OPTIONS.split(), "--out", str(out)]) == 0
    return out


def test_a_collapsed_generator_is_said_once_in_the_training_and_in_result_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rlgen"):
        out = trained(tmp_path / "run", constant, monkeypatch)
    said = [record.getMessage() for record in caplog.records if "collapsed" in record.getMessage()]
    assert len(said) == 2, "at the second evaluation, not again at the third, and at the end"
    assert "at update 4: expected samples as varied as the data" in said[0]
    for text in (said[0], said[1], Result.read(out).metrics["warning"]):
        assert "got pixels whose standard deviation is 0.00" in text
        assert "discriminator-turns" in text
    page = (out / "report.html").read_text()
    assert page.index("<h2>Warning</h2>") < page.index("<h2>Samples</h2>")
    assert page.count("got pixels whose standard deviation is 0.00") == 1
    assert read_metrics(out)["evaluation/relative_std"][-1] == pytest.approx(0)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "rlgen"):
        assert cli.main(["evaluate", str(out), "--out", str(tmp_path / "again.json")]) == 0
    assert any("collapsed" in record.getMessage() for record in caplog.records)


def test_a_generator_of_the_data_is_not_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "rlgen"):
        out = trained(tmp_path / "run", perfect, monkeypatch)
    assert not [record for record in caplog.records if "collapsed" in record.getMessage()]
    assert "warning" not in Result.read(out).metrics
    assert "<h2>Warning</h2>" not in (out / "report.html").read_text()
    assert Result.read(out).metrics["relative_std"] == pytest.approx(1, abs=0.1)


def test_a_model_with_a_likelihood_is_not_sampled_during_the_training() -> None:
    shape = ImageShape(channels=1, height=8, width=8)
    vae = VAE(shape, VAEConfig(latent=2, hidden=(8,)))
    gan = GAN(shape, GANConfig(latent=2, generator_hidden=(8,), discriminator_hidden=(8,)))
    assert sample_variety(vae, DIGITS, DIGITS, 20, None) == {}
    assert sample_variety(gan, DIGITS, DIGITS, 20, None).keys() == {"relative_std"}


def test_few_images_and_translations_are_not_evaluated() -> None:
    shape = ImageShape(channels=1, height=8, width=8)
    gan = GAN(shape, GANConfig(latent=2, generator_hidden=(8,), discriminator_hidden=(8,)))
    assert collapse_of(gan, {"relative_std": 0.0}, 99) is None
    assert collapse_of(gan, {"relative_std": 0.0}, 100) is not None


@pytest.mark.parametrize("name", GENERATORS)
def test_every_model_says_what_to_change(name: str) -> None:
    remedy = GENERATORS[name].collapse_remedy
    assert remedy.startswith("train for longer")
    assert not remedy.endswith(".")
