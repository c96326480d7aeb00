"""Minibatches: every image equally often, the same again from a seed or a saved state; pixels made binary."""

import pytest
import torch

from rlgen.data import ImageSet
from rlgen.data.images import fixed_binarization, stochastic_binarization
from rlgen.data.minibatches import Minibatches
from rlgen.errors import InputError


@pytest.fixture
def numbered() -> ImageSet:
    """10 images whose brightness is their label."""
    images = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 1, 2, 2).contiguous()
    return ImageSet(images, torch.arange(10))


def drawn(stream: Minibatches, count: int) -> list[list[int]]:
    return [next(stream)[1].tolist() for _ in range(count)]


def test_images_come_with_their_labels(numbered: ImageSet) -> None:
    for images, labels in (next(Minibatches(numbered, 4)) for _ in range(3)):
        assert images.shape == (4, 1, 2, 2)
        torch.testing.assert_close(images[:, 0, 0, 0] * 255, labels.float())


@pytest.mark.parametrize("size", [4, 10, 25])
def test_every_image_comes_equally_often(numbered: ImageSet, size: int) -> None:
    stream = Minibatches(numbered, size, seed=1)
    flat = [label for batch in drawn(stream, 10) for label in batch]
    assert len(flat) == 10 * size
    for start in range(0, len(flat), 10):
        assert sorted(flat[start : start + 10]) == list(range(10)), "an epoch holds each image once"


def test_epochs_have_different_orders_and_seeds_too(numbered: ImageSet) -> None:
    first, second = drawn(Minibatches(numbered, 10, seed=0), 2)
    assert first != second
    assert drawn(Minibatches(numbered, 10, seed=1), 1) != [first]
    assert drawn(Minibatches(numbered, 10, seed=0), 2) == [first, second]


def test_a_stream_goes_on_from_its_saved_state(numbered: ImageSet) -> None:
    def stream(seed: int) -> Minibatches:
        return Minibatches(numbered, 4, seed, transforms=[lambda x, g: x + torch.rand(x.shape, generator=g)])

    one = stream(0)
    for _ in range(3):
        next(one)
    state = one.state_dict()
    expected = [next(one) for _ in range(6)]
    other = stream(7)
    next(other)
    other.load_state_dict(state)
    for (images, labels), (images_again, labels_again) in zip(expected, (next(other) for _ in range(6)), strict=True):
        assert torch.equal(labels, labels_again)
        assert torch.equal(images, images_again)


def test_the_global_generator_is_not_touched(numbered: ImageSet) -> None:
    before = torch.get_rng_state()
    next(Minibatches(numbered, 4, transforms=[stochastic_binarization]))
    assert torch.equal(before, torch.get_rng_state())


def test_a_state_of_another_set_and_a_size_of_zero_are_refused(numbered: ImageSet) -> None:
    state = Minibatches(numbered.take(slice(0, 5)), 2).state_dict()
    with pytest.raises(InputError, match="one of 5"):
        Minibatches(numbered, 2).load_state_dict(state)
    with pytest.raises(InputError, match="at least one image"):
        Minibatches(numbered, 0)


@pytest.fixture
def grey() -> ImageSet:
    """500 images of 4 pixels: 0, 51 (a fifth), 204 (four fifths), 255."""
    row = torch.tensor([0, 51, 204, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    return ImageSet(row.expand(500, 1, 2, 2).contiguous(), torch.zeros(500, dtype=torch.int64))


def check_shares(means: torch.Tensor, count: int) -> None:
    """Black and white stay; the others are 1 as often as they are bright, within 5 standard errors."""
    assert means.flatten()[0] == 0
    assert means.flatten()[3] == 1
    error = (0.2 * 0.8 / count) ** 0.5
    assert float(means.flatten()[1]) == pytest.approx(0.2, abs=5 * error)
    assert float(means.flatten()[2]) == pytest.approx(0.8, abs=5 * error)


def test_stochastic_binarization_draws_ones_as_often_as_the_pixel_is_bright(grey: ImageSet) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second = (stochastic_binarization(grey.floats(), generator) for _ in range(2))
    assert set(first.unique().tolist()) == {0.0, 1.0}
    assert not torch.equal(first, second), "afresh each time"
    check_shares(first.mean(0), 500)


def test_fixed_binarization_is_drawn_once(grey: ImageSet) -> None:
    binary = fixed_binarization(grey, seed=2)
    assert set(binary.images.unique().tolist()) == {0, 255}
    assert torch.equal(binary.floats(), fixed_binarization(grey, seed=2).floats())
    assert not torch.equal(binary.floats(), fixed_binarization(grey, seed=3).floats())
    check_shares(binary.floats().mean(0), 500)
    assert "binarized with seed 2" in binary.name
    assert torch.equal(binary.labels, grey.labels)


def test_fixed_binarization_of_more_images_begins_with_the_same(
    grey: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rlgen.data.images.PIECE", 64)
    assert torch.equal(fixed_binarization(grey).images[:128], fixed_binarization(grey.take(slice(0, 128))).images)
