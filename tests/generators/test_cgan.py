"""Conditional GANs."""

import pytest
import torch
from torch.nn import functional as F

from rlgen.equations.penalties import r1
from rlgen.errors import InputError
from rlgen.generators import CGAN, CGANConfig, ImageShape, PenaltyConfig, Trainer, TrainerConfig

SMALL = ImageShape(channels=1, height=4, width=4, n_classes=3)
PIXEL = ImageShape(channels=1, height=1, width=1, n_classes=2)


def small_cgan(**settings: object) -> CGAN:
    torch.manual_seed(0)
    widths = {"latent": 2, "generator_hidden": (4, 5, 6), "discriminator_hidden": (4, 3, 5), "pieces": (2, 3)}
    return CGAN(SMALL, CGANConfig(**(widths | settings)))  # type: ignore[arg-type]


def test_each_label_has_images_of_its_own() -> None:
    torch.manual_seed(0)
    config = CGANConfig(latent=2, generator_hidden=(16, 16, 32), discriminator_hidden=(16, 8, 16), pieces=(2, 2))
    game = Trainer(CGAN(PIXEL, config), TrainerConfig(average=0.99))
    for _ in range(300):
        labels = torch.randint(2, (64,))
        means = torch.where(labels == 0, 0.25, 0.75)
        game.update((means + 0.05 * torch.randn(64)).clamp(0, 1).view(-1, 1, 1, 1), labels)
    with game.evaluating() as model:
        for label, mean in ((0, 0.25), (1, 0.75)):
            samples = model.sample(1_000, torch.full((1_000,), label))
            assert float(samples.mean()) == pytest.approx(mean, abs=0.1), "blind to labels it would be 0.5"


def test_generator_and_discriminator_are_told_the_label() -> None:
    model = small_cgan().eval()
    images, latents = torch.rand(3, 1, 4, 4), model.prior(3)
    zeros, ones = torch.zeros(3, dtype=torch.long), torch.ones(3, dtype=torch.long)
    assert not torch.allclose(model.critic(zeros)(images), model.critic(ones)(images))
    assert not torch.allclose(model.decode(latents, zeros), model.decode(latents, ones))
    torch.testing.assert_close(model.decode(latents, ones), model.decode(latents, ones))


def test_fakes_have_the_labels_of_the_real_images() -> None:
    model, labels = small_cgan(penalties=PenaltyConfig()), torch.tensor([2, 0, 1, 2])
    images = torch.rand(4, 1, 4, 4)
    torch.manual_seed(5)
    terms = model.discriminator_loss(images, labels)
    torch.manual_seed(5)
    told = F.one_hot(labels, 3).float()
    fakes = model.generator(torch.cat([torch.randn(4, 2), told], 1)).flatten(1)
    real, fake = (
        model.discriminator(torch.cat([rows, told], 1)).sigmoid() for rows in (images.flatten(1), fakes.detach())
    )
    assert terms["loss"].item() == pytest.approx(-(real.log().mean() + (1 - fake).log().mean()).item(), rel=1e-5)


def test_a_penalty_sees_the_discriminator_of_these_labels() -> None:
    model = small_cgan(penalties=PenaltyConfig(r1=2.0))
    images, labels = torch.rand(4, 1, 4, 4), torch.tensor([2, 0, 1, 2])
    terms = model.discriminator_loss(images, labels)
    assert terms["penalty"].item() == pytest.approx(2 * r1(model.critic(labels), images).item(), rel=1e-5)


def test_without_labels_samples_are_of_every_class_and_a_training_is_refused() -> None:
    model = small_cgan()
    rows = model.labeled(model.prior(200), None)
    assert rows[:, 2:].sum(1).tolist() == [1.0] * 200
    assert (rows[:, 2:].sum(0) > 30).all()  # of 67 expected with standard deviation 7
    assert model.sample(5).shape == (5, 1, 4, 4)
    with pytest.raises(InputError, match="labels of the images"):
        Trainer(model).update(torch.rand(4, 1, 4, 4))
    with pytest.raises(InputError, match="images of at least 2 classes"):
        CGAN(ImageShape(channels=1, height=4, width=4))


@pytest.mark.parametrize("settings", [{"dropout": 1.0}, {"pieces": (0, 4)}, {"generator_hidden": (0, 1, 1)}], ids=str)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        CGANConfig(**settings)
