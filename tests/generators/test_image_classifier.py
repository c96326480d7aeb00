"""The classifier as an image model, and its adversarial training."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rlgen.errors import InputError
from rlgen.generators import ImageClassifier, ImageClassifierConfig, ImageShape, Trainer, TrainerConfig
from rlgen.generators.image_model import Attackable, Classifies, Samples
from rlgen.generators.pictures import grids

SHAPE = ImageShape(channels=1, height=8, width=8, n_classes=2)
SMALL = {"widths": (4,), "n_features": 8}


def halves(n: int = 32) -> tuple[Tensor, Tensor]:
    """Images that are brighter on the left (class 0) or on the right (class 1) by 0.2."""
    generator = torch.Generator().manual_seed(n)
    labels = torch.randint(2, (n,), generator=generator)
    images = 0.4 + 0.05 * torch.rand(n, 1, 8, 8, generator=generator)
    images[labels == 0, :, :, :4] += 0.2
    images[labels == 1, :, :, 4:] += 0.2
    return images, labels


def classifier(**settings: object) -> Trainer:
    torch.manual_seed(0)
    config = ImageClassifierConfig(**SMALL, **settings)  # type: ignore[arg-type]
    return Trainer(ImageClassifier(SHAPE, config))


def error(game: Trainer, attack: str | None) -> float:
    images, labels = halves(64)
    with game.evaluating() as model:
        seen = images if attack is None else model.attacked(images, labels, attack)
        return float((model.class_logits(seen).argmax(-1) != labels).float().mean())


def test_it_classifies_and_does_not_sample() -> None:
    model = classifier().model
    assert isinstance(model, Classifies)
    assert isinstance(model, Attackable)
    assert not isinstance(model, Samples)
    assert set(grids(model.eval(), halves()[0], 0)) == {"attacked"}


@pytest.mark.parametrize("adversarial", ["fgsm", "pgd"])
def test_adversarial_training_withstands_the_attack_that_plain_training_does_not(adversarial: str) -> None:
    settings = {"epsilon": 0.08, "learning_rate": 1e-2, "pgd_steps": 3, "measured_steps": 5}
    plain, trained = (classifier(adversarial=kind, **settings) for kind in ("none", adversarial))
    for _ in range(40):
        plain.update(*halves())
        trained.update(*halves())
    assert error(plain, None) == error(trained, None) == 0
    assert error(trained, adversarial) < 0.1
    assert error(plain, "pgd") >= error(plain, None)


def test_the_loss_is_that_of_both_batches_in_their_shares() -> None:
    game = classifier(adversarial="fgsm", clean_share=0.25)
    terms = game.model.loss(*halves())
    expected = 0.25 * terms["clean_loss"] + 0.75 * terms["attacked_loss"]
    torch.testing.assert_close(terms["loss"], expected)
    assert terms["attacked_loss"] > terms["clean_loss"]


def test_an_attack_within_the_update_does_not_touch_the_statistics_of_batch_norm() -> None:
    """One update with attacks moves them once, by the joint batch."""
    game = classifier(adversarial="fgsm", epsilon=0.0)
    norm = game.model.network.body[1]
    game.update(*halves())
    assert norm.num_batches_tracked == 1


def test_without_attacks_the_loss_is_the_cross_entropy() -> None:
    game = classifier()
    images, labels = halves()
    terms = game.model.loss(images, labels)
    torch.testing.assert_close(terms["loss"], F.cross_entropy(game.model.network(images), labels))


def test_a_saved_and_loaded_training_goes_on_bit_for_bit() -> None:
    one, other = classifier(adversarial="pgd", pgd_steps=2), classifier(adversarial="pgd", pgd_steps=2)
    one.update(*halves())
    other.load_state_dict(one.state_dict())
    for game in (one, other):
        torch.manual_seed(3)
        game.update(*halves())
    assert all(torch.equal(value, other.model.state_dict()[name]) for name, value in one.model.state_dict().items())


def test_an_averaged_classifier_attacks_its_averaged_weights() -> None:
    torch.manual_seed(0)
    game = Trainer(ImageClassifier(SHAPE, ImageClassifierConfig(**SMALL)), TrainerConfig(average=0.9))
    game.update(*halves())
    images, labels = halves(8)
    with game.evaluating() as model:
        change = (model.attacked(images, labels, "fgsm") - images).abs()
    torch.testing.assert_close(change.max(), torch.tensor(0.25))


@pytest.mark.parametrize(
    "settings",
    [{"epsilon": -0.1}, {"epsilon": 1.5}, {"clean_share": 2.0}, {"widths": ()}, {"pgd_steps": 0}, {"adversarial": "x"}],
)
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InputError):
        ImageClassifierConfig(**settings)  # type: ignore[arg-type]


def test_images_without_classes_are_refused() -> None:
    with pytest.raises(InputError):
        ImageClassifier(ImageShape(channels=1, height=8, width=8))
    with pytest.raises(InputError):
        classifier().model.loss(halves()[0], None)
