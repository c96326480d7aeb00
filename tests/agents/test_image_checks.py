"""Faults of the data are reported before a training."""

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rlgen.agents import image_metrics
from rlgen.agents.commands.image_checks import binarization_of, require_domains, require_measurable
from rlgen.agents.commands.train_image import TrainImage, settings_of
from rlgen.agents.image_metrics import extractor_of, measure
from rlgen.data import ImageSet
from rlgen.errors import InputError
from rlgen.generators import GAN, UGATIT, VAE, GANConfig, ImageShape, UGATITConfig, VAEConfig
from rlgen.generators.classifier import Classifier, ClassifierConfig, ClassifierExtractor, train_classifier

SHAPE = ImageShape(channels=1, height=8, width=8, n_classes=2)


def images(count: int, side: int = 8, classes: int = 2, split: str = "train") -> ImageSet:
    pixels = torch.randint(256, (count, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ImageSet(pixels, torch.arange(count) % classes, "noise", split)


def config(**settings: object) -> TrainImage:
    small = VAEConfig(latent=2, hidden=(4,))
    return settings_of("vae")(out=Path("run"), device="cpu", vae=small, **settings)  # type: ignore[arg-type]


def load(monkeypatch: pytest.MonkeyPatch, train: ImageSet, test: ImageSet) -> None:
    sets = {"train": train, "test": test}
    monkeypatch.setattr(ImageSet, "load", lambda data, split, size: sets[split])


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (images(20), images(20, side=6), "training images of 1 × 8 × 8 and test images of 1 × 6 × 6"),
        (
            images(20),
            images(20, classes=3),
            "got test images of class 2, of which there are no training images",
        ),
        (images(20), images(1), "at least 2 test images"),
        (
            replace(images(20), images=images(20).images // 128),
            images(20),
            "bytes from 0 (dark) to 255 (bright); got none above 1 in noise; multiply",
        ),
        (images(20), images(5), "got 5 test images and --measured 10000; add --classifier none"),
        (images(20, side=3), images(20, side=3), "at least 4 × 4 for a classifier"),
    ],
)
def test_data_that_cannot_be_measured_are_refused_before_the_training(
    train: ImageSet, test: ImageSet, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(monkeypatch, train, test)
    with pytest.raises(InputError) as refused:
        config().build(ExitStack(), None)
    assert said in str(refused.value)


def test_images_without_classes_are_not_compared_by_a_classifier(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("rlgen"), "propagate", True)
    monkeypatch.setattr(image_metrics, "classifier_extractor", lambda *args, **settings: pytest.fail("trained one"))
    train, test = images(120, classes=1), images(120, classes=1, split="test")
    load(monkeypatch, train, test)
    config().build(ExitStack(), None)
    assert "FID and similar metrics are not measured: expected images of at least 2 classes" in caplog.text
    game = GAN(SHAPE, GANConfig(latent=2, generator_hidden=(4,), discriminator_hidden=(4,))).eval()
    found = measure(game, train, test, test, "auto", 120, 1)
    assert "--classifier inception or the .json" in found["not_measured"]
    assert {"relative_std", "parzen"} <= found.keys()
    assert not {"fid", "recall", "precision", "modes_hit", "probe_accuracy"} & found.keys()
    assert "not_measured" not in measure(game, train, test, test, "none", 120, 1)


def test_a_classifier_of_one_class_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="at least 2 classes for a classifier; got images of one class in noise"):
        train_classifier(images(20, classes=1), ClassifierConfig(batch=4))
    kept = ClassifierExtractor(Classifier((1, 8, 8), 1, ClassifierConfig(widths=(2,), n_features=2)), "one")
    monkeypatch.setattr("rlgen.agents.commands.image_checks.load_extractor", lambda path: kept)
    with pytest.raises(InputError, match="a classifier of at least 2 classes"):
        require_measurable(images(20, classes=1), images(20, classes=1), "kept.json", 20)


def test_without_a_classifier_small_images_may_be_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, images(20, side=3), images(5, side=3))
    assert config(classifier="none").build(ExitStack(), None).train.shape == (1, 3, 3)


def test_a_classifier_of_other_images_is_refused_before_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = ClassifierExtractor(Classifier((1, 6, 6), 2, ClassifierConfig(widths=(2,), n_features=2)), "another")
    monkeypatch.setattr("rlgen.agents.commands.image_checks.load_extractor", lambda path: kept)
    with pytest.raises(InputError, match="expected images of 1 × 6 × 6 of 2 classes"):
        require_measurable(images(20), images(20), "kept.json", 20)


def test_batches_larger_than_the_training_set_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    load(monkeypatch, images(20), images(20))
    monkeypatch.setattr(logging.getLogger("rlgen"), "propagate", True)
    config(batch_size=20).build(ExitStack(), None)
    assert "more than" not in caplog.text
    config(batch_size=21).build(ExitStack(), None)
    assert "--batch-size 21 is more than the 20 training images" in caplog.text


def test_a_classifier_is_trained_on_fewer_images_than_its_usual_minibatch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ClassifierConfig] = []
    monkeypatch.setattr(image_metrics, "classifier_extractor", lambda train, test, config: asked.append(config))
    extractor_of("auto", images(20), images(20))
    extractor_of("auto", images(500), images(20))
    assert asked == [replace(ClassifierConfig(), batch=20), ClassifierConfig()]


def test_likelihoods_are_of_the_data_they_are_made_for() -> None:
    binary, levels = (
        VAE(SHAPE, VAEConfig(latent=2, hidden=(4,), likelihood=name)) for name in ("bernoulli", "logistic")
    )
    game = GAN(SHAPE, GANConfig(latent=2, generator_hidden=(4,), discriminator_hidden=(4,)))
    assert [binarization_of(model, "auto") for model in (binary, levels, game)] == ["stochastic", "none", "none"]
    assert [binarization_of(game, asked) for asked in ("stochastic", "fixed", "none")] == [
        "stochastic",
        "fixed",
        "none",
    ]
    for asked in ("stochastic", "fixed"):
        assert binarization_of(binary, asked) == asked
        with pytest.raises(InputError, match=f"--binarize {asked}, which gives bits per dimension"):
            binarization_of(levels, asked)
    with pytest.raises(InputError, match="gives grey levels without a probability"):
        binarization_of(binary, "none")


def test_a_gan_of_binarized_images_is_compared_with_binarized_ones() -> None:
    test = images(30, split="test")
    seen = replace(test, images=(test.images > 127).to(torch.uint8) * 255, name="noise, binarized")
    game = GAN(SHAPE, GANConfig(latent=2, generator_hidden=(4,), discriminator_hidden=(4,))).eval()
    binary = VAE(SHAPE, VAEConfig(latent=2, hidden=(4,))).eval()
    found = measure(game, test, test, seen, "none", 30, 1)
    assert found["compared_with"] == "noise, binarized"
    assert found["parzen"] != measure(game, test, test, test, "none", 30, 1)["parzen"]
    assert measure(binary, test, test, seen, "none", 30, 1)["compared_with"] == "noise", "its samples are grey"


def test_translations_of_test_images_are_compared_with_those_of_the_target_domain() -> None:
    game = UGATIT(replace(SHAPE, n_classes=3), UGATITConfig(domains=(2, 1), width=2, blocks=1)).eval()
    test = images(90, classes=3, split="test")
    asked: list[torch.Tensor] = []
    game.translate = lambda given: asked.append(given) or test.of_class(1).floats()  # type: ignore[method-assign, func-returns-value]
    found = measure(game, test, test, test, "none", 90, 1)
    assert torch.equal(asked[0].sum((1, 2, 3)).sort().values, test.of_class(2).floats().sum((1, 2, 3)).sort().values)
    assert found["compared_with"] == "noise, class 1"
    assert (found["n_samples"], found["n_test"]) == (30, 30)
    assert found["relative_std"] == pytest.approx(1)
    require_domains(game, test, "auto")
    with pytest.raises(InputError, match="at least 6 test images of each domain; got 5 of class 2 in noise"):
        require_domains(game, images(17, classes=3), "auto")


def test_images_that_choose_the_parzen_width_are_not_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[torch.Tensor, torch.Tensor]] = []
    parzen = image_metrics.parzen

    def watched(samples: torch.Tensor, validation: torch.Tensor, test: torch.Tensor) -> object:
        asked.append((validation, test))
        return parzen(samples, validation, test)

    monkeypatch.setattr(image_metrics, "parzen", watched)
    game = GAN(SHAPE, GANConfig(latent=2, generator_hidden=(4,), discriminator_hidden=(4,))).eval()
    train, test = images(50), replace(images(30, split="test"), images=255 - images(30).images)
    assert measure(game, train, test, test, "none", 25, 1)["parzen_n_test"] == 13
    assert torch.equal(torch.cat(asked[0]), test.some(25).floats().flatten(1))
    monkeypatch.setattr(image_metrics, "VALIDATION", 5)
    assert measure(game, train, test, test, "none", 25, 1)["parzen_n_test"] == 20
