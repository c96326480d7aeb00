"""The table of scores, with an extractor whose features and classes are known."""

import math

import pytest
import torch
from torch import Tensor

from rlgen.errors import InputError
from rlgen.generators.metrics.inception import Extractor, in_pieces
from rlgen.generators.metrics.scores import (
    density_coverage,
    frechet_inception_distance,
    image_scores,
    kernel_inception_distance,
    precision_recall,
)

KEYS = {
    *("fid", "kid", "inception_score", "inception_score_std", "inception_score_real", "precision", "recall"),
    *("density", "coverage", "modes_hit", "modes_hit_real", "modes_kl", "n_real", "n_fake"),
    *("n_neighbours_real", "n_neighbours_fake"),
    *("extractor", "extractor_hash"),
}


class Corners:
    """Features are the four pixels; the class is the brightest of them."""

    name, hash = "corners", "c0ffee"

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def probs(self, images: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(images.flatten(1).argmax(1), 4).float()


def images(seed: int, count: int = 40) -> Tensor:
    return torch.rand(count, 1, 2, 2, generator=torch.Generator().manual_seed(seed))


def test_the_table_is_flat_and_says_what_it_depends_on() -> None:
    table = image_scores(images(0), images(1, 50), Corners())
    assert set(table) == KEYS
    assert (table["extractor"], table["extractor_hash"]) == ("corners", "c0ffee")
    assert (table["n_real"], table["n_fake"]) == (40, 50)
    numbers = [table[key] for key in KEYS - {"extractor", "extractor_hash"}]
    assert all(isinstance(value, float) and math.isfinite(value) for value in numbers)
    real, fake = images(0).flatten(1), images(1, 50).flatten(1)
    assert table["fid"] == float(frechet_inception_distance(real, fake))
    assert table["kid"] == float(kernel_inception_distance(real, fake))
    near, covered = precision_recall(real, fake), density_coverage(real, fake)
    assert (table["precision"], table["recall"]) == (float(near.precision), float(near.recall))
    assert (table["density"], table["coverage"]) == (float(covered.density), float(covered.coverage))
    assert near.precision != near.recall, "or the two sides could be exchanged"
    assert covered != density_coverage(fake, real)


def test_the_real_images_themselves_score_best() -> None:
    table = image_scores(images(0), images(0), Corners())
    assert table["fid"] == pytest.approx(0, abs=1e-12)
    assert (table["precision"], table["recall"], table["coverage"]) == (1.0, 1.0, 1.0)
    assert table["inception_score"] == table["inception_score_real"]


def test_one_image_again_and_again_is_one_mode() -> None:
    one = images(1, 1).expand(40, 1, 2, 2).contiguous()
    table = image_scores(images(0), one, Corners())
    assert (table["modes_hit"], table["inception_score"]) == (1.0, 1.0)
    assert table["modes_kl"] == pytest.approx(math.log(4))


def test_conditional_accuracy_is_there_where_classes_were_asked_for() -> None:
    fake = images(1)
    classes = fake.flatten(1).argmax(1)
    asked = torch.where(torch.arange(40) < 10, (classes + 1) % 4, classes)
    assert image_scores(images(0), fake, Corners(), fake_labels=asked)["conditional_accuracy"] == 0.75


def test_only_the_first_images_are_neighbors() -> None:
    table = image_scores(images(0), torch.cat([images(0, 20), torch.zeros(20, 1, 2, 2)]), Corners(), neighbors=20)
    assert (table["n_neighbours_real"], table["n_neighbours_fake"], table["n_fake"]) == (20, 20, 40)
    assert table["precision"] == 1.0


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_images_outside_zero_and_one_are_refused(wrong: float) -> None:
    bad = images(1)
    bad[3, 0, 1, 1] = wrong
    with pytest.raises(InputError, match=r"generated images in \[0, 1\]"):
        image_scores(images(0), bad, Corners())
    with pytest.raises(InputError, match=r"real images in \[0, 1\]"):
        image_scores(bad, images(0), Corners())


def test_pieces_are_joined_in_order_without_a_gradient() -> None:
    weight = torch.ones(1, requires_grad=True)
    sizes = []

    def double(piece: Tensor) -> Tensor:
        sizes.append(len(piece))
        return piece.flatten(1) * 2 * weight

    found = in_pieces(double, images(0), size=15)
    assert sizes == [15, 15, 10]
    assert torch.equal(found, images(0).flatten(1) * 2)
    assert not found.requires_grad
    with pytest.raises(InputError, match="at least one image"):
        in_pieces(double, images(0)[:0])


def test_anything_with_these_four_names_is_an_extractor() -> None:
    assert isinstance(Corners(), Extractor)
