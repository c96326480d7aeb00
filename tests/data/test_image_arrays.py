"""Arrays of NumPy are a data set."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rlgen.data import ImageSet
from rlgen.data.minibatches import Minibatches
from rlgen.errors import InputError

PIXELS = np.random.default_rng(0).integers(256, size=(10, 4, 5, 3), dtype=np.uint8)
LABELS = np.arange(10) % 2


def test_a_file_with_the_splits_of_medmnist_or_of_keras_is_read(tmp_path: Path) -> None:
    for names in (
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_test", "y_test"),
    ):
        arrays = (PIXELS[:7], LABELS[:7, None], PIXELS[7:], LABELS[7:, None])
        np.savez(tmp_path / "set.npz", **dict(zip(names, arrays, strict=True)))
        train, test = (ImageSet.load(tmp_path / "set.npz", split) for split in ("train", "test"))
        assert (len(train), len(test), train.shape, train.name) == (7, 3, (3, 4, 5), "set")
        assert np.array_equal(test.images[2].permute(1, 2, 0).numpy(), PIXELS[9])
        assert test.labels.tolist() == LABELS[7:].tolist()


def test_without_splits_the_last_fifth_of_each_class_is_for_testing(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "set.npz", images=PIXELS[..., 0], labels=LABELS)
    train, test = (ImageSet.load(tmp_path / "set.npz", split) for split in ("train", "test"))
    assert np.array_equal(test.images[:, 0].numpy(), PIXELS[8:, ..., 0])
    assert (len(train), train.shape) == (8, (1, 4, 5))


def test_a_file_of_images_alone_is_of_one_class(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", PIXELS)
    assert ImageSet.load(tmp_path / "images.npy").n_classes == 1


def test_a_folder_of_arrays_is_mapped_into_memory(tmp_path: Path) -> None:
    for name, array in {"train_images": PIXELS, "train_labels": LABELS, "test_images": PIXELS}.items():
        np.save(tmp_path / f"{name}.npy", array)
    train = ImageSet.load(tmp_path)
    with (tmp_path / "train_images.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(bytes([255 - int(PIXELS[-1, -1, -1, -1])]))
    assert int(train.images[-1, -1, -1, -1]) == 255 - int(PIXELS[-1, -1, -1, -1]), "a change of the file is seen"
    images, labels = next(Minibatches(train, 10))
    assert images.is_contiguous()
    order = torch.stack([images[row] for row in range(10)]).sum((1, 2, 3)).sort().values
    assert torch.allclose(order, train.floats().sum((1, 2, 3)).sort().values)
    assert labels.sort().values.tolist() == sorted(LABELS.tolist())


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"pictures": PIXELS}, "arrays of images called train_images and test_images"),
        ({"images": PIXELS / 255}, r"images of bytes \(uint8\); got float64"),
        ({"images": PIXELS[..., :2]}, r"1 or 3 channels; got \[10, 4, 5, 2\]"),
        ({"images": PIXELS, "labels": LABELS[:3]}, "one label for each image; got 3 labels of 10"),
        ({"images": PIXELS, "labels": LABELS - 1}, "whole numbers from 0"),
        ({"images": np.array([{}], object)}, "never opened"),
    ],
    ids=["names", "floats", "channels", "labels", "negative", "objects"],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(InputError, match=said):
        ImageSet.load(tmp_path / "set.npz")


def test_an_npy_file_of_objects_runs_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="cut or damaged"):
        ImageSet.load(tmp_path / "images.npy")


def test_labels_with_gaps_are_classes_in_their_order_the_same_in_both_splits(tmp_path: Path) -> None:
    labels = np.array([7, 0, 3, 0, 7, 7])
    arrays = {"train_images": PIXELS[:6], "train_labels": labels, "test_images": PIXELS[6:9], "test_labels": [7, 3, 7]}
    np.savez(tmp_path / "set.npz", **arrays)
    (tmp_path / "folder").mkdir()
    for name, array in arrays.items():
        np.save(tmp_path / "folder" / f"{name}.npy", array)
    for path in (tmp_path / "set.npz", tmp_path / "folder"):
        train, test = (ImageSet.load(path, split) for split in ("train", "test"))
        assert train.labels.tolist() == [2, 0, 1, 0, 2, 2]
        assert test.labels.tolist() == [2, 1, 2]
        assert train.class_names == test.class_names == ("0", "3", "7")
        assert train.n_classes == test.n_classes == 3


def test_labels_from_one_on_of_a_set_without_splits_are_classes_from_zero_on(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=PIXELS, labels=LABELS + 1)
    test = ImageSet.load(tmp_path / "set.npz", "test")
    assert (test.labels.tolist(), test.class_names) == ([0, 1], ("1", "2"))
