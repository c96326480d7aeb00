"""Minibatches of which half the labels are told: no other label gets through, and a saved stream goes on."""

from dataclasses import replace

import pytest
import torch

from rlgen.data import ImageSet
from rlgen.data.minibatches import UNLABELLED, PartlyLabeled
from rlgen.errors import InputError


@pytest.fixture
def numbered() -> ImageSet:
    """60 images, each of a brightness of its own, of 3 classes."""
    images = torch.arange(60, dtype=torch.uint8)[:, None, None, None].expand(60, 1, 2, 2).contiguous()
    return ImageSet(images, torch.arange(60) % 3)


def brightness(images: torch.Tensor) -> list[int]:
    return (images[:, 0, 0, 0] * 255).round().int().tolist()


def test_only_the_labeled_images_ever_come_with_a_label(numbered: ImageSet) -> None:
    labeled = numbered.labeled(6)
    told = dict(zip(brightness(labeled.floats()), labeled.labels.tolist(), strict=True))
    stream, seen = PartlyLabeled(labeled, numbered, 8), []
    for _ in range(30):
        images, labels = next(stream)
        assert images.shape == (8, 1, 2, 2)
        for number, label in zip(brightness(images), labels.tolist(), strict=True):
            if label == UNLABELLED:
                seen.append(number)
            else:
                assert told[number] == label
    assert sorted(seen) == sorted(2 * list(range(60))), "without labels every image comes, equally often"


def test_the_labels_of_all_other_images_change_nothing(numbered: ImageSet) -> None:
    labeled = numbered.labeled(6)
    lying = replace(numbered, labels=(numbered.labels + 1) % 3)
    streams = [PartlyLabeled(labeled, every, 8, seed=2) for every in (numbered, lying)]
    for _ in range(20):
        (images, labels), (same_images, same_labels) = (next(stream) for stream in streams)
        assert torch.equal(images, same_images)
        assert torch.equal(labels, same_labels)


@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_every_share_of_a_batch_has_as_many_of_either(numbered: ImageSet, pieces: int) -> None:
    _, labels = next(PartlyLabeled(numbered.labeled(6), numbered, 8))
    for share in labels.tensor_split(pieces):
        assert (share >= 0).sum() == len(share) / 2


def test_a_stream_goes_on_from_its_saved_state(numbered: ImageSet) -> None:
    def noisy(seed: int) -> PartlyLabeled:
        add = [lambda x, g: x + torch.rand(x.shape, generator=g)]
        return PartlyLabeled(numbered.labeled(6), numbered, 8, seed, add)

    one, other = noisy(0), noisy(5)
    for _ in range(3):
        next(one)
    state = one.state_dict()
    expected = [next(one) for _ in range(20)]
    next(other)
    other.load_state_dict(state)
    for (images, labels), (images_again, labels_again) in zip(expected, (next(other) for _ in range(20)), strict=True):
        assert torch.equal(images, images_again)
        assert torch.equal(labels, labels_again)


def test_an_odd_size_is_refused(numbered: ImageSet) -> None:
    with pytest.raises(InputError, match="an even size"):
        PartlyLabeled(numbered.labeled(6), numbered, 7)
