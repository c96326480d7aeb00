"""The classifier that measures images: what it learns, that a seed repeats it, that its files are what they say."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rlgen.errors import InputError
from rlgen.generators import classifier_files
from rlgen.generators.classifier import (
    Classifier,
    ClassifierConfig,
    ClassifierExtractor,
    TrainingDiverged,
    accuracy_of,
    bring_features_to_unit_size,
    shifted,
    train_classifier,
    weights_hash,
)
from rlgen.generators.classifier_files import classifier_extractor, load_extractor
from rlgen.generators.metrics.inception import Extractor

QUICK = ClassifierConfig(widths=(4, 8), n_features=16, epochs=2, least_updates=60, batch=16, shift=0.0)


@dataclass(frozen=True)
class Bars:
    """Noisy images with one bright row: the class is which."""

    images: Tensor
    labels: Tensor
    n_classes: int = 4
    name: str = "bars, for a test"
    split: str = "train"


def bars(seed: int, count: int = 96) -> Bars:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (count,), generator=generator)
    images = torch.randint(90, (count, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images[torch.arange(count), :, labels * 2] += 150
    return Bars(images, labels)


@pytest.fixture(scope="module")
def trained() -> Classifier:
    return train_classifier(bars(0), QUICK, seed=3)


def test_it_learns_a_rule_and_knows_new_images_by_it(trained: Classifier) -> None:
    assert accuracy_of(trained, bars(1)) == 1.0
    # The same images under other labels: it is no constant 1.
    other = bars(1)
    assert accuracy_of(trained, replace(other, labels=(other.labels + 1) % 4)) == 0.0


def test_the_seed_decides_everything_and_touches_nothing_else(trained: Classifier) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = train_classifier(bars(0), QUICK, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    assert weights_hash(again) == weights_hash(trained)
    assert weights_hash(train_classifier(bars(0), QUICK, seed=4)) != weights_hash(trained)


def test_probabilities_are_those_of_the_logits_whatever_the_company(trained: Classifier) -> None:
    extractor = ClassifierExtractor(trained, "bars")
    assert isinstance(extractor, Extractor)
    images = bars(1).images.float() / 255
    features, probs = extractor.features(images), extractor.probs(images)
    assert features.shape == (96, 16)
    assert not probs.requires_grad
    torch.testing.assert_close(probs, trained.head(features).softmax(-1))
    torch.testing.assert_close(extractor.probs(images[:1]), probs[:1])


def test_features_have_a_mean_square_of_one_whatever_training_made_of_them(trained: Classifier) -> None:
    images = bars(0).images.float() / 255
    copy = Classifier(trained.shape, 4, QUICK).eval()
    copy.load_state_dict(trained.state_dict())
    with torch.no_grad():
        assert float(trained.hidden(images).square().mean()) == pytest.approx(1, rel=1e-5)
        copy.last.weight.mul_(30)
        copy.last.bias.mul_(30)
        copy.head.weight.div_(30)
    bring_features_to_unit_size(copy, bars(0))
    torch.testing.assert_close(copy.hidden(images), trained.hidden(images))
    torch.testing.assert_close(copy(images), trained(images))


def test_images_of_another_size_are_refused_and_not_resized(trained: Classifier) -> None:
    with pytest.raises(InputError, match="images of 1 × 8 × 8; got 1 × 9 × 8"):
        ClassifierExtractor(trained, "bars").features(torch.zeros(2, 1, 9, 8))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 8, 8), (2, 4, 9)])
def test_images_of_any_size_from_four_pixels_have_a_network(shape: tuple[int, int, int]) -> None:
    network = Classifier(shape, 7, ClassifierConfig()).eval()
    assert network(torch.zeros(2, *shape)).shape == (2, 7)


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(InputError, match="4 × 4; got 3 × 28"):
        Classifier((1, 3, 28), 2, ClassifierConfig())


def test_the_hash_sees_weights_and_running_statistics(trained: Classifier) -> None:
    copy = Classifier(trained.shape, 4, QUICK)
    copy.load_state_dict(trained.state_dict())
    assert weights_hash(copy) == weights_hash(trained)
    for name in ("head.bias", "body.1.running_mean"):
        copy.load_state_dict(trained.state_dict())
        tensor = copy.state_dict()[name]
        tensor[0] = torch.nextafter(tensor[0], torch.tensor(9.0))
        assert weights_hash(copy) != weights_hash(trained), name


def test_shifted_images_are_the_images_elsewhere() -> None:
    images = torch.rand(64, 2, 10, 6, generator=torch.Generator().manual_seed(0)) + 1
    moved = shifted(images, 0.2, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    seen = set()
    for image, result in zip(images, moved, strict=True):
        # Up to 2 rows and 1 column; roll the way it went and blank what came round the edge.
        fits = []
        for down in range(-2, 3):
            for right in range(-1, 2):
                expected = torch.zeros(2, 14, 8)
                expected[:, 2 + down : 12 + down, 1 + right : 7 + right] = image
                if torch.equal(expected[:, 2:12, 1:7], result):
                    fits.append((down, right))
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > 10, "of 15 ways"
    assert shifted(images, 0.01, torch.Generator()) is images


def test_too_few_images_and_a_loss_without_end_are_told() -> None:
    with pytest.raises(InputError, match="one minibatch of 16"):
        train_classifier(bars(0, 15), QUICK)
    with pytest.raises(TrainingDiverged, match="epoch 1; lower"):
        train_classifier(bars(0), replace(QUICK, learning_rate=1e30))


@pytest.mark.parametrize(
    "wrong",
    [
        {"widths": ()},
        {"widths": (4, 0)},
        {"n_features": 0},
        {"epochs": 0},
        {"least_updates": 0},
        {"batch": 1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"weight_decay": -1.0},
        {"shift": 0.5},
    ],
    ids=str,
)
def test_a_config_that_makes_no_sense_is_refused(wrong: dict) -> None:
    with pytest.raises(InputError, match=next(iter(wrong)) if "widths" not in wrong else "convolution"):
        ClassifierConfig(**wrong)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ClassifierExtractor]:
    folder = tmp_path_factory.mktemp("extractors") / "new"
    return folder, classifier_extractor(bars(0), replace(bars(1), split="test"), folder, QUICK, seed=3)


@pytest.fixture
def card(kept: tuple[Path, ClassifierExtractor], tmp_path: Path) -> Path:
    """A copy of the files, to be spoilt."""
    for path in kept[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return next(tmp_path.glob("*.json"))


def test_the_card_says_what_the_weights_are(kept: tuple[Path, ClassifierExtractor], trained: Classifier) -> None:
    folder, extractor = kept
    names = sorted(path.suffix for path in folder.iterdir())
    assert names == [".json", ".safetensors"], "no leftovers"
    card = json.loads(next(folder.glob("bars-for-a-test-*.json")).read_text())
    assert card["weights_sha256"] == extractor.hash == weights_hash(trained)
    assert (card["test_accuracy"], card["seed"], card["train"]["n"]) == (accuracy_of(trained, bars(1)), 3, 96)
    assert (card["train"]["split"], card["test"]["split"]) == ("train", "test")
    assert card["train"]["sha256"] != card["test"]["sha256"]
    assert card["versions"]["torch"] == torch.__version__


def test_a_second_time_nothing_is_trained(
    kept: tuple[Path, ClassifierExtractor], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first = kept
    monkeypatch.setattr(classifier_files, "train_classifier", lambda *_: pytest.fail("trained again"))
    again = classifier_extractor(bars(0), bars(1), folder, QUICK, seed=3)
    images = bars(2).images.float() / 255
    assert torch.equal(again.features(images), first.features(images))
    assert (again.hash, again.name) == (first.hash, first.name)


def test_other_images_labels_settings_or_seeds_are_another_classifier(
    kept: tuple[Path, ClassifierExtractor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Classifier:
        raise KeyboardInterrupt

    monkeypatch.setattr(classifier_files, "train_classifier", refuse)
    flipped = bars(0)
    flipped.images[5, 0, 0, 0] ^= 1
    renamed = replace(bars(0), labels=bars(0).labels.flip(0))
    for train, config, seed in (
        (flipped, QUICK, 3),
        (renamed, QUICK, 3),
        (bars(0), replace(QUICK, epochs=3), 3),
        (bars(0), QUICK, 4),
    ):
        with pytest.raises(KeyboardInterrupt):
            classifier_extractor(train, bars(1), kept[0], config, seed)


def test_a_folder_that_nobody_gave_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(classifier_files, "train_classifier", lambda *_: Classifier((1, 8, 8), 4, QUICK).eval())
    classifier_extractor(bars(0), bars(1), config=QUICK)
    assert len(list((tmp_path / ".cache" / "rlgen" / "extractors").glob("*.safetensors"))) == 1


def test_loading_a_classifier_draws_no_random_number(card: Path) -> None:
    before = torch.get_rng_state()
    load_extractor(card)
    assert torch.equal(torch.get_rng_state(), before), "a resumed training would go on with other ones"


def test_weights_of_another_training_are_noticed(card: Path) -> None:
    content = json.loads(card.read_text())
    card.write_text(json.dumps(content | {"weights_sha256": "0" * 64}))
    with pytest.raises(InputError, match="other weights than the card's"):
        load_extractor(card)


@pytest.mark.parametrize("cut", [0, 4, 500])
def test_cut_weights_are_noticed(card: Path, cut: int) -> None:
    weights = card.with_suffix(".safetensors")
    weights.write_bytes(weights.read_bytes()[:cut])
    with pytest.raises(InputError, match="cannot be used"):
        load_extractor(card)


@pytest.mark.parametrize("key", ["config", "shape", "name", "weights_sha256", "format"])
def test_an_incomplete_card_is_noticed(card: Path, key: str) -> None:
    content = json.loads(card.read_text())
    del content[key]
    card.write_text(json.dumps(content))
    with pytest.raises(InputError, match="card and weights"):
        load_extractor(card)


def test_missing_or_foreign_cards_and_weights_are_noticed(card: Path) -> None:
    with pytest.raises(InputError, match="FileNotFoundError"):
        load_extractor(card.with_name("none.json"))
    card.with_suffix(".safetensors").unlink()
    with pytest.raises(InputError, match="FileNotFoundError"):
        load_extractor(card)
    card.write_text("[]")
    with pytest.raises(InputError, match="no object"):
        load_extractor(card)
