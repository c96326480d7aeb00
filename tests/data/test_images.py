"""Image sets: where they come from, how they are cut, what they look like to a model."""

import gzip
import hashlib
import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from rlgen.data import ImageSet, image_sources
from rlgen.data.images import fingerprint
from rlgen.errors import InputError

CLASSES = 5


def write_mnist(folder: Path, n_train: int = 40, n_test: int = 10) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Small files of MNIST's names: the training ones gzipped, the test ones not."""
    rng, written = np.random.default_rng(0), {}
    for split, prefix, count in (("train", "train", n_train), ("test", "t10k", n_test)):
        images = rng.integers(256, size=(count, 6, 5), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % CLASSES
        image_bytes = struct.pack(">4I", 0x803, *images.shape) + images.tobytes()
        label_bytes = struct.pack(">2I", 0x801, count) + labels.tobytes()
        if split == "train":
            (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(image_bytes))
            (folder / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(label_bytes))
        else:
            (folder / f"{prefix}-images-idx3-ubyte").write_bytes(image_bytes)
            (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(label_bytes)
        written[split] = (images, labels)
    return written


@pytest.fixture
def small() -> ImageSet:
    """40 images; image i has brightness i everywhere and class i mod 5."""
    images = torch.arange(40, dtype=torch.uint8)[:, None, None, None].expand(40, 1, 3, 2).contiguous()
    return ImageSet(images, torch.arange(40) % CLASSES)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_folder_of_idx_files_is_read_as_it_was_written(tmp_path: Path, split: str) -> None:
    images, labels = write_mnist(tmp_path)[split]
    found = ImageSet.load(tmp_path, split)
    assert np.array_equal(found.images.numpy()[:, 0], images)
    assert found.labels.tolist() == labels.tolist()
    assert (found.name, found.split, found.shape, found.n_classes) == (tmp_path.name, split, (1, 6, 5), CLASSES)


def test_real_mnist_has_the_published_pixels(shared_data: Path) -> None:
    train, test = ImageSet.load(shared_data / "mnist"), ImageSet.load(shared_data / "mnist", "test")
    # The published MD5 sum is of the unpacked file, header and pixels.
    whole = struct.pack(">4I", 0x803, 60_000, 28, 28) + train.images.numpy().tobytes()
    assert hashlib.md5(whole, usedforsecurity=False).hexdigest() == "6bbc9ace898e44ae57da46a324031adb"
    assert (tuple(train.images.shape), tuple(test.images.shape)) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_digits_are_those_of_scikit_learn_split_without_a_generator() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    train, test = ImageSet.load("digits"), ImageSet.load("digits", "test")
    assert len(train) + len(test) == 1797
    assert train.shape == test.shape == (1, 8, 8)
    found = datasets.load_digits()
    ours = torch.cat([train.images, test.images]).double().flatten(1) * 16 / 255
    theirs = torch.from_numpy(found.data)
    # Grey levels are 0 to 16, so that rounding to bytes loses none of them; the order is by split.
    assert sorted(map(tuple, ours.round().tolist())) == sorted(map(tuple, theirs.tolist()))
    every = np.bincount(found.target)
    assert torch.bincount(test.labels).tolist() == (every // 5).tolist()
    # The last image of each class in scikit-learn's file is a test image, and the last of them.
    last = {int(label): found.data[found.target == label][-1] for label in range(10)}
    for label, pixels in last.items():
        assert torch.equal(ours[len(train) :][test.labels == label][-1].round(), torch.from_numpy(pixels))


def test_digits_without_scikit_learn_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match="pip install scikit-learn"):
        ImageSet.load("digits")


def test_names_with_a_dot_are_found_too(tmp_path: Path) -> None:
    written = write_mnist(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert np.array_equal(ImageSet.load(tmp_path, "train").images.numpy()[:, 0], written["train"][0])


def test_labels_of_idx_files_with_gaps_are_classes_in_their_order(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    label_bytes = bytes([1, 3] * 20), bytes([3, 9] * 5)
    with gzip.open(tmp_path / "train-labels-idx1-ubyte.gz", "wb") as file:
        file.write(struct.pack(">2I", 0x801, 40) + label_bytes[0])
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 10) + label_bytes[1])
    train, test = (ImageSet.load(tmp_path, split) for split in ("train", "test"))
    assert train.labels.tolist() == [0, 1] * 20
    assert test.labels.tolist() == [1, 2] * 5
    assert train.class_names == ("1", "3", "9")


@pytest.mark.parametrize("missing", ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    write_mnist(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match=f"{missing} or {missing}.gz"):
        ImageSet.load(tmp_path, "test")


def test_labels_of_another_download_are_refused(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 3) + b"\0\1\2")
    with pytest.raises(InputError, match="3 labels and 10 images"):
        ImageSet.load(tmp_path, "test")


def test_an_unknown_split_and_an_unknown_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'valid'"):
        ImageSet.load(tmp_path, "valid")
    with pytest.raises(InputError, match="digits, mnist, fashion-mnist"):
        ImageSet.load("mnst")


def test_a_folder_called_mnist_is_not_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    write_mnist(tmp_path / "mnist")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(image_sources, "_hub", lambda *_: pytest.fail("asked the hub"))
    assert len(ImageSet.load("./mnist")) == 40
    assert len(ImageSet.load(Path("mnist"))) == 40


def test_without_a_network_a_name_of_the_hub_says_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    code = "from rlgen.data.images import ImageSet; ImageSet.load('mnist')"
    # Of another process, because the library reads these once, when it is imported.
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "HF_DATASETS_CACHE": str(tmp_path / "none")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | offline, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("rlgen.errors.InputError: expected the data set ylecun/mnist")
    assert last.endswith("or give a folder of images instead of a name")


@pytest.mark.parametrize(("mode", "name"), [("L", "mnist"), ("RGB", "cifar10")])
def test_images_of_the_hub_become_channels_first_bytes(monkeypatch: pytest.MonkeyPatch, mode: str, name: str) -> None:
    datasets, image = pytest.importorskip("datasets"), pytest.importorskip("PIL.Image")
    hub = image_sources.HUB[name]
    pixels = np.random.default_rng(0).integers(256, size=(4, 6, 5) + ((3,) if mode == "RGB" else ()), dtype=np.uint8)
    asked = []

    def load_dataset(identity: str, split: str) -> dict:
        asked.append((identity, split))
        return {hub.image: [image.fromarray(each) for each in pixels], hub.label: [0, 1, 2, 1]}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = ImageSet.load(name, "test")
    assert asked == [(hub.id, "test")]
    assert found.labels.tolist() == [0, 1, 2, 1]
    assert found.shape == (3 if mode == "RGB" else 1, 6, 5)
    last = found.images[2].permute(1, 2, 0).numpy()
    assert np.array_equal(last if mode == "RGB" else last[..., 0], pixels[2])


def test_floats_are_brightness_from_zero_to_one(small: ImageSet) -> None:
    rows = torch.tensor([39, 0, 20])
    found = small.floats(rows)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[:, 0, 0, 0], torch.tensor([39, 0, 20]) / 255)
    assert int(small.images[39, 0, 0, 0]) == 39, "the bytes stay"
    full = ImageSet(torch.full((1, 1, 1, 1), 255, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64))
    assert float(full.floats()) == 1.0


def test_going_through_in_order_meets_every_image_once(small: ImageSet) -> None:
    pieces = list(small.in_order(16))
    assert [len(images) for images, _ in pieces] == [16, 16, 8]
    assert torch.equal(torch.cat([images for images, _ in pieces]), small.floats())
    assert torch.equal(torch.cat([labels for _, labels in pieces]), small.labels)


def brightness(images: ImageSet) -> list[int]:
    return images.images[:, 0, 0, 0].tolist()


def test_labeled_images_are_as_many_of_each_class_and_depend_on_the_seed(small: ImageSet) -> None:
    few = small.labeled(20, seed=0)
    assert torch.bincount(few.labels).tolist() == [4] * CLASSES
    assert [label % CLASSES for label in brightness(few)] == few.labels.tolist(), "an image keeps its label"
    assert len(set(brightness(few))) == 20
    assert brightness(small.labeled(20, seed=0)) == brightness(few)
    assert brightness(small.labeled(20, seed=1)) != brightness(few)


def test_labeled_images_of_unequal_or_too_many_are_refused(small: ImageSet) -> None:
    with pytest.raises(InputError, match="multiple of the 5 classes"):
        small.labeled(12)
    with pytest.raises(InputError, match="9 images of each class"):
        small.labeled(45)


def test_a_part_without_the_last_class_still_has_all_classes(small: ImageSet) -> None:
    assert small.take(small.labels < 2).n_classes == CLASSES


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (torch.zeros(2, 1, 3, 3), torch.zeros(2, dtype=torch.int64), "torch.float32"),
        (torch.zeros(2, 3, 3, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), r"\[2, 3, 3\]"),
        (torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), "for 2 images"),
        (torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.zeros(2, dtype=torch.int32), "torch.int32"),
        (torch.zeros(0, 1, 3, 3, dtype=torch.uint8), torch.zeros(0, dtype=torch.int64), "at least one image"),
        (torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.tensor([0, -1]), "-1 to 0"),
    ],
)
def test_what_is_no_image_set_is_refused(images: Tensor, labels: Tensor, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ImageSet(images, labels)


def test_a_label_beyond_the_classes_is_refused() -> None:
    with pytest.raises(InputError, match="labels from 0 to 1"):
        ImageSet(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.tensor([2]), classes=2)


def test_scaling_keeps_the_middle_square_and_agrees_with_pillow() -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(256, size=(12, 20), dtype=np.uint8)
    wide = ImageSet(torch.from_numpy(pixels.copy())[None, None], torch.zeros(1, dtype=torch.int64))
    middle = image.fromarray(pixels[:, 4:16].astype(np.float32))
    expected = np.asarray(middle.resize((6, 6), image.Resampling.BICUBIC)).round().clip(0, 255)
    assert np.array_equal(wide.scaled(6).images[0, 0].numpy(), expected)
    assert wide.scaled(12).images.equal(torch.from_numpy(pixels[:, 4:16].copy())[None, None])


def test_the_fingerprint_of_many_images_is_that_of_their_bytes() -> None:
    images = torch.randint(256, (4100, 1, 1, 2), dtype=torch.uint8)
    labels = torch.arange(4100)
    content = str([4100, 1, 1, 2]).encode() + images.numpy().tobytes() + labels.numpy().tobytes()
    assert fingerprint(ImageSet(images, labels))["sha256"] == hashlib.sha256(content).hexdigest()


def test_some_images_of_a_sorted_set_are_of_all_classes_and_the_same_each_time() -> None:
    labels = torch.arange(400) // 100
    images = ImageSet(images=labels.to(torch.uint8)[:, None, None, None], labels=labels)
    some = images.some(40)
    assert len(some) == 40
    assert some.labels.unique().tolist() == [0, 1, 2, 3]
    assert torch.equal(some.images.flatten().long(), some.labels)
    assert torch.equal(images.some(40).labels, some.labels)
    assert torch.equal(images.some(500).labels.sort().values, labels)
