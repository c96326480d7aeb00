"""Translation between two domains: losses, attention, shares of instance norm, the memory of both domains."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rlgen.data import ImageSet
from rlgen.data.minibatches import Minibatches
from rlgen.errors import InputError
from rlgen.generators import UGATIT, ImageShape, Trainer, TrainerConfig, UGATITConfig
from rlgen.generators.domain_memory import DomainMemory
from rlgen.generators.image_model import Decoder, Translates
from rlgen.generators.pictures import grids
from rlgen.nn import AdaLIN, QuantizationConfig
from rlgen.nn.u_gat_it import Attention, LayerInstanceNorm

SMALL = ImageShape(channels=1, height=8, width=8, n_classes=3)
LABELS = torch.tensor([2, 0, 1, 2, 1, 0])


def small(shape: ImageShape = SMALL, codes: int = 4, **settings: Any) -> UGATIT:
    torch.manual_seed(0)
    quantization = QuantizationConfig(codes=codes)
    return UGATIT(shape, UGATITConfig(width=2, blocks=1, pairs=2, quantization=quantization, **settings))


def images_of(labels: torch.Tensor) -> torch.Tensor:
    """Images [B, 1, 8, 8] whose first pixel is the label, in tenths."""
    images = torch.rand(len(labels), 1, 8, 8)
    images[:, 0, 0, 0] = labels / 10
    return images


def test_the_memory_keeps_the_last_images_of_either_class() -> None:
    memory = DomainMemory(SMALL, (2, 0), size=3)
    assert memory.ready == 0
    first, second, third = (images_of(torch.tensor(labels)) for labels in ([2, 1, 2], [1, 1, 1], [0, 2, 0]))
    memory.remember(first, torch.tensor([2, 1, 2]))
    memory.remember(second, torch.tensor([1, 1, 1]))
    assert memory.ready == 0, "no image of class 0"
    assert torch.equal(memory.last(0, 4), first[[0, 2, 0, 2]])
    memory.remember(third, torch.tensor([0, 2, 0]))
    assert memory.ready == 1
    assert torch.equal(memory.last(0, 3), torch.stack([third[1], first[0], first[2]]))
    assert torch.equal(memory.last(1, 2), third[[0, 2]])
    memory.remember(images_of(torch.full((5,), 2)), torch.full((5,), 2))
    assert memory.count.tolist() == [3, 2]


def test_nothing_is_learned_before_both_domains_have_images() -> None:
    game = Trainer(small())
    before = [each.detach().clone() for player in game.players for each in player.trained]
    game.update(images_of(torch.tensor([2, 1, 1])), torch.tensor([2, 1, 1]))
    after = [each for player in game.players for each in player.trained]
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    game.update(images_of(LABELS), LABELS)
    assert not all(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_the_generators_loss_is_the_weighted_sum_of_its_parts() -> None:
    model = small(cycle=2.0, identity=3.0, attention=5.0)
    model.memory.remember(images_of(LABELS), LABELS)
    model.eval()  # spectral norms do not change
    terms = model.generator_loss(images_of(LABELS), LABELS)
    source, target = model.sides()
    assert set(source[:, 0, 0, 0].tolist()) == {0.0}
    there, back = model.generators
    cycle = F.l1_loss(back(there(source)[0])[0], source) + F.l1_loss(there(back(target)[0])[0], target)
    identity = F.l1_loss(there(target)[0], target) + F.l1_loss(back(source)[0], source)
    torch.testing.assert_close(terms["cycle"], cycle)
    torch.testing.assert_close(terms["identity"], identity)
    attention = torch.zeros(())
    for network, one, zero in ((there, source, target), (back, target, source)):
        for images, label in ((one, 1.0), (zero, 0.0)):
            logits = network(images)[1]
            attention = attention + F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
    torch.testing.assert_close(terms["attention"], attention)
    expected = terms["game"] + 2 * cycle + 3 * identity + 5 * attention + terms["commitment"]
    torch.testing.assert_close(terms["loss"], expected)
    assert terms["commitment"] > 0


def test_the_discriminators_commit_and_learn_codes_of_both_sides() -> None:
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items() if name.endswith("codebook")}
    assert len(before) == 2, "one discriminator of one block per domain"
    terms = model.discriminator_loss(images_of(LABELS), LABELS)
    torch.testing.assert_close(terms["loss"], terms["divergence"] + terms["commitment"])
    assert terms["commitment"] > 0
    assert 0 < terms["codebook_usage"] <= 1
    assert not any(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    plain = small(codes=0).discriminator_loss(images_of(LABELS), LABELS)
    assert plain["commitment"] == 0
    assert "codebook_usage" not in plain


def test_attention_sees_the_domain_in_means_and_maxima() -> None:
    torch.manual_seed(0)
    attention, maps = Attention(3), torch.randn(2, 3, 4, 4)
    attended, logits = attention(maps)
    expected = torch.cat([attention.of_mean(maps.mean((2, 3))), attention.of_max(maps.flatten(2).amax(2))], 1)
    torch.testing.assert_close(logits, expected)
    with torch.no_grad():
        attention.of_mean.weight.zero_()
        attention.of_max.weight.zero_()
    assert torch.allclose(attention(maps)[0], F.relu(attention.merge.bias)[:, None, None].expand_as(attended))


def test_shares_of_instance_norm_stay_between_0_and_1() -> None:
    game = Trainer(small(learning_rate=10.0, attention=0.0))
    for _ in range(2):
        game.update(images_of(LABELS), LABELS)
    norms = [each for each in game.model.modules() if isinstance(each, AdaLIN | LayerInstanceNorm)]
    shares = torch.cat([each.instance_share for each in norms])
    assert len(norms) == 2 * 3
    assert 0 <= shares.min() < shares.max() <= 1
    assert ((shares == 0) | (shares == 1)).any()


def test_samples_are_translations_of_the_last_images_of_the_first_domain() -> None:
    model = small().eval()
    images = images_of(LABELS)
    model.memory.remember(images, LABELS)
    assert isinstance(model, Translates)
    assert not isinstance(model, Decoder)
    shown, made = model.translations(3)
    assert torch.equal(shown, images[[1, 5, 1]])
    torch.testing.assert_close(made, model.translate(shown))
    torch.testing.assert_close(model.sample(3), made)
    assert not torch.allclose(model.translate(shown, back=True), made)
    found = grids(model, images, seed=0)
    assert set(found) == {"samples", "translations"}
    rows = found["translations"].images.unflatten(0, (-1, 10))
    torch.testing.assert_close(model.translate(rows[2]), rows[3])


@pytest.mark.parametrize(("shape", "discriminators"), [((3, 8, 12), 1), ((1, 28, 28), 2), ((3, 32, 32), 2)], ids=str)
def test_networks_fit_gray_and_colored_images_of_sizes_that_can_be_halved(
    shape: tuple[int, int, int], discriminators: int
) -> None:
    channels, height, width = shape
    model = small(ImageShape(channels=channels, height=height, width=width, n_classes=2))
    assert model.translate(torch.rand(2, *shape)).shape == (2, *shape)
    assert [len(model.of_domain(index)) for index in range(2)] == [discriminators] * 2


@pytest.mark.slow
def test_a_classifier_of_digits_sees_ones_in_most_translations_of_zeros() -> None:
    torch.manual_seed(0)
    digits = ImageSet.load("digits")
    images, labels = digits.floats(), digits.labels
    classifier = nn.Linear(64, 10)
    optimizer = torch.optim.Adam(classifier.parameters(), 1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        F.cross_entropy(classifier(images.flatten(1)), labels).backward()
        optimizer.step()
    config = UGATITConfig(
        learning_rate=2e-3, blocks=1, cycle=1.0, identity=0.5, attention=1.0, quantization=QuantizationConfig(codes=64)
    )
    shape = ImageShape(channels=1, height=8, width=8, n_classes=10)
    game = Trainer(UGATIT(shape, config), TrainerConfig(average=0.98))
    for _, batch in zip(range(300), Minibatches(digits, size=100), strict=False):
        logs = game.update(*batch)
    with game.evaluating() as model:
        classes = classifier(model.translate(images[labels == 0]).flatten(1)).argmax(1)
    assert (classes == 1).float().mean() > 0.5
    assert logs["discriminator/codebook_usage"] >= 0.2


def test_images_without_domains_and_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(InputError, match="domains among the classes"):
        small(domains=(0, 3))
    with pytest.raises(InputError, match="labels of the images"):
        Trainer(small()).update(torch.rand(4, 1, 8, 8))
    for settings in ({"domains": (1, 1)}, {"domains": (-1, 0)}, {"pairs": 0}, {"cycle": -1.0}, {"learning_rate": 0.0}):
        with pytest.raises(InputError):
            UGATITConfig(**settings)
