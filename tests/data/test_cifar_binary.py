"""CIFAR's binary files are a data set."""

from pathlib import Path

import numpy as np
import pytest

from rlgen.data import ImageSet
from rlgen.data.cifar_binary import LAYOUTS
from rlgen.errors import InputError


def rows(count: int, seed: int, labels: int = 1) -> np.ndarray:
    """Rows of label bytes below 10 and 3,072 pixel bytes."""
    rng = np.random.default_rng(seed)
    found = rng.integers(256, size=(count, labels + 3072), dtype=np.uint8)
    found[:, :labels] %= 10
    return found


@pytest.fixture
def ten(tmp_path: Path) -> Path:
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for number in (1, 2, 10):
        rows(5, number).tofile(folder / f"data_batch_{number}.bin")
    rows(4, 99).tofile(folder / "test_batch.bin")
    (folder / "batches.meta.txt").write_text("airplane\n")
    return folder


def test_batches_follow_each_other_by_number_and_planes_are_red_green_blue(ten: Path) -> None:
    train = ImageSet.load(ten, "train")
    assert train.images.shape == (15, 3, 32, 32)
    last = rows(5, 10)[4]
    assert int(train.labels[14]) == last[0]
    assert np.array_equal(train.images[14].numpy(), last[1:].reshape(3, 32, 32))
    assert len(ImageSet.load(ten, "test")) == 4


def test_the_folder_above_is_taken_too_and_the_name_says_how_many_images_there_are(ten: Path) -> None:
    found = ImageSet.load(ten.parent, "test")
    assert len(found) == 4
    assert found.name == "cifar10, first 15 images"


def test_cifar_100_has_the_fine_label_behind_the_coarse_one(tmp_path: Path) -> None:
    for name in ("train", "test"):
        rows(3, 0, labels=2).tofile(tmp_path / f"{name}.bin")
    assert ImageSet.load(tmp_path).labels.tolist() == rows(3, 0, labels=2)[:, 1].tolist()


def test_a_complete_set_is_called_by_its_name_alone() -> None:
    assert {layout.complete for layout in LAYOUTS} == {50_000}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "test_batch.bin").unlink(), r"test_batch\.bin in .*; got nothing"),
        (lambda folder: (folder / "data_batch_2.bin").write_bytes(b""), "0 bytes in .*data_batch_2"),
        (lambda folder: (folder / "data_batch_2.bin").write_bytes(b"\0" * 3072), "3072 bytes in .*data_batch_2"),
        (lambda folder: (folder / "data_batch_2.bin").write_bytes(b"\xff" * 3073), "labels from 0 to 9; got 255"),
    ],
    ids=["missing", "empty", "cut", "labels"],
)
def test_what_is_not_cifar_is_named(ten: Path, change, said: str) -> None:
    change(ten)
    with pytest.raises(InputError, match=said):
        ImageSet.load(ten, "train")
