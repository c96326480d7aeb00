"""The classifier learned from a few labels: its losses, what labels reach, and two classes told by one label each."""

import pytest
import torch
from torch import Tensor

from rlgen.errors import InputError
from rlgen.generators import ImageShape, SemiSupervisedGAN, SemiSupervisedGANConfig, Trainer
from rlgen.generators.image_model import Classifies
from rlgen.nn import WeightNormLinear

SMALL = ImageShape(channels=1, height=8, width=8, n_classes=3)
LABELS = torch.tensor([2, -1, 0, -1, -1, 1, -1, -1])


def small(shape: ImageShape = SMALL, **settings: object) -> SemiSupervisedGAN:
    torch.manual_seed(0)
    config = SemiSupervisedGANConfig(latent=3, generator_hidden=(6,), hidden=(8, 5), **settings)  # type: ignore[arg-type]
    return SemiSupervisedGAN(shape, config)


def test_the_discriminators_loss_is_that_of_k_plus_1_classes() -> None:
    model, images = small().eval(), torch.rand(8, 1, 8, 8)
    torch.manual_seed(2)
    terms = model.discriminator_loss(images, LABELS)
    torch.manual_seed(2)
    made = model.sample(4)
    logits, made_logits = model.class_logits(images), model.class_logits(made)
    log_prob, made_log_prob = (
        torch.cat([each, torch.zeros(len(each), 1)], 1).double().log_softmax(1) for each in (logits, made_logits)
    )
    known = LABELS >= 0
    supervised = -logits[known].double().log_softmax(1)[range(3), LABELS[known]].mean()
    unsupervised = -(1 - log_prob[~known, -1].exp()).log().mean() - made_log_prob[:, -1].mean()
    assert terms["supervised"].item() == pytest.approx(supervised.item(), rel=1e-5)
    assert terms["unsupervised"].item() == pytest.approx(unsupervised.item(), rel=1e-5)
    assert terms["loss"].item() == pytest.approx((supervised + 0.5 * unsupervised).item(), rel=1e-5)
    hit = (logits.argmax(1) == LABELS)[known].float().mean()
    assert terms["class_accuracy"].item() == pytest.approx(hit.item())


def test_the_generator_matches_the_mean_features_of_unlabeled_images() -> None:
    model, images = small().eval(), torch.rand(8, 1, 8, 8)
    torch.manual_seed(2)
    loss = model.generator_loss(images, LABELS)["loss"]
    torch.manual_seed(2)
    distance = model.body(images[LABELS < 0]).mean(0) - model.body(model.sample(4)).mean(0)
    torch.testing.assert_close(loss, distance.square().sum())


def test_a_label_teaches_the_class_of_its_own_image_alone() -> None:
    """The gradient of the loss with respect to an unlabeled image's logits knows nothing of any label."""
    model, images = small(noise=0.0, input_noise=0.0), torch.rand(8, 1, 8, 8)
    gradients = []
    for labels in (LABELS, torch.where(LABELS >= 0, (LABELS + 1) % 3, LABELS)):
        torch.manual_seed(2)
        pixels = images.clone().requires_grad_()
        gradients.append(torch.autograd.grad(model.discriminator_loss(pixels, labels)["loss"], pixels)[0])
    same = (gradients[0] == gradients[1]).flatten(1).all(1)
    assert same.tolist() == (LABELS < 0).tolist()


def test_each_player_learns_its_own_network() -> None:
    model, images = small(), torch.rand(8, 1, 8, 8)
    owners = {player.name: list(player.trained) for player in model.players()}
    for player in model.players():
        loss = player.loss(images, LABELS)["loss"]
        (other,) = (own for name, own in owners.items() if name != player.name)
        for gradient in torch.autograd.grad(loss, owners[player.name], retain_graph=True, allow_unused=True):
            # The head is not among what a generator matches, but it is not the generator's either.
            assert gradient is not None
        if player.name == "discriminator":
            assert not any(g is not None for g in torch.autograd.grad(loss, other, allow_unused=True))
    assert len(owners["generator"]) + len(owners["discriminator"]) == len(list(model.parameters()))


def test_the_first_images_standardize_every_layer_and_later_ones_none() -> None:
    model, images = small(noise=0.0, input_noise=0.0), torch.rand(8, 1, 8, 8)
    game = Trainer(model)
    model.before_first_update(images)
    lengths = [each.length.clone() for each in model.modules() if isinstance(each, WeightNormLinear)]
    std, mean = torch.std_mean(model.class_logits(images), 0, correction=0)
    torch.testing.assert_close(std, torch.ones(3), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mean, torch.zeros(3), rtol=0, atol=1e-5)
    game.step = 1
    game.update(images / 5, LABELS)
    kept = [
        torch.equal(a, b.length)
        for a, b in zip(lengths, (each for each in model.modules() if isinstance(each, WeightNormLinear)), strict=True)
    ]
    assert kept == [False, True, True, False]  # the generator's last layer, the body's two, the head


def test_noise_disturbs_training_and_not_the_test() -> None:
    model, images = small(), torch.rand(4, 1, 8, 8)
    assert isinstance(model, Classifies)
    assert not torch.equal(model.class_logits(images), model.class_logits(images))
    model.eval()
    assert torch.equal(model.class_logits(images), model.class_logits(images))


def two_classes(count: int) -> tuple[Tensor, Tensor]:
    """Bright left halves (0) and bright right halves (1), with noise."""
    labels = torch.arange(count) % 2
    left, right = labels.view(-1, 1, 1, 1) == 0, labels.view(-1, 1, 1, 1) == 1
    side = (torch.arange(4) < 2).expand(1, 1, 4, 4)
    return (0.8 * ((side & left) | (~side & right)) + 0.2 * torch.rand(count, 1, 4, 4)).float(), labels


def test_one_label_of_each_of_two_plain_classes_is_enough() -> None:
    torch.manual_seed(0)
    shape = ImageShape(channels=1, height=4, width=4, n_classes=2)
    model = small(shape)
    game, (images, labels) = Trainer(model), two_classes(42)
    labels[2:] = -1
    for _ in range(100):
        game.update(images, labels)
    fresh, truth = two_classes(200)
    with game.evaluating():
        assert (model.class_logits(fresh).argmax(1) == truth).all()


@pytest.mark.parametrize("side", [8, 28])
def test_it_goes_on_bit_for_bit_from_a_saved_state(side: int) -> None:
    shape, images = ImageShape(channels=1, height=side, width=side, n_classes=3), torch.rand(8, 1, side, side)
    games = [Trainer(small(shape)) for _ in range(2)]
    for _ in range(2):
        games[0].update(images, LABELS)
    games[1].load_state_dict(games[0].state_dict())
    for game in games:
        torch.manual_seed(7)
        game.update(images, LABELS)
        game.update(images, LABELS)
    one, other = (game.model.state_dict() for game in games)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert games[1].model.sample(3).shape == (3, 1, side, side)


@pytest.mark.parametrize(
    "settings", [{"latent": 0}, {"hidden": ()}, {"noise": -1.0}, {"learning_rate": 0.0}, {"unlabeled": -0.5}], ids=str
)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        SemiSupervisedGANConfig(**settings)


def test_images_without_classes_are_refused() -> None:
    with pytest.raises(InputError, match="2 classes"):
        SemiSupervisedGAN(ImageShape(channels=1, height=8, width=8))
