"""Where images come from: data sets by name, and files and folders by what they hold."""

import importlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from rlgen.data.cifar_binary import cifar_folder, read_cifar
from rlgen.data.demonstrated_images import demonstrated_images, has_demonstrations
from rlgen.data.idx import has_idx_files, read_idx_folder
from rlgen.data.image_arrays import has_arrays, read_array_folder, read_arrays
from rlgen.data.image_split import last_fifth
from rlgen.data.picture_folder import has_pictures, read_pictures
from rlgen.errors import problem

SPLITS = ("train", "test")


class Hub(NamedTuple):
    """A data set on the Hugging Face hub, in Parquet files: reading it runs no code of its authors."""

    id: str
    image: str
    label: str
    mode: str
    """Pillow's mode: L grey, RGB color."""


HUB = {
    "mnist": Hub("ylecun/mnist", "image", "label", "L"),
    "fashion-mnist": Hub("zalando-datasets/fashion_mnist", "image", "label", "L"),
    "cifar10": Hub("uoft-cs/cifar10", "img", "label", "RGB"),
}


def is_folder(name_or_path: str | Path) -> bool:
    """Whether the argument is a folder or file and not the name of a data set."""
    return name_or_path not in ("digits", *HUB)


def read(name_or_path: str | Path, split: str, size: int | None = None) -> dict[str, Any]:
    """The fields of an `ImageSet`. `size`: height and width that pictures are scaled to while they are read."""
    if name_or_path == "digits":
        return _fields(*_digits(split), (), "digits", split)
    if isinstance(name_or_path, str) and not is_folder(name_or_path):
        return _fields(*_hub(name_or_path, split), (), name_or_path, split)
    path = Path(name_or_path)
    if path.suffix == ".npz" and path.is_file() and has_demonstrations(path):
        return _fields(*demonstrated_images(path, split), (), path.stem, split)
    if path.is_file():
        return _fields(*read_arrays(path, split), path.stem, split)
    if not path.is_dir():
        names = ", ".join(["digits", *HUB])
        raise problem(f"one of {names}, or a folder or file of images", f"{path}, where nothing is", "check the path")
    return _fields(*_folder(path, split, size), split)


def _folder(folder: Path, split: str, size: int | None) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], str]:
    """Images, labels, the names of the classes and of the set, by what the folder holds."""
    name = folder.resolve().name
    if has_pictures(folder):
        return *read_pictures(folder, split, size), name
    if has_arrays(folder):
        return *read_array_folder(folder, split), name
    if (binary := cifar_folder(folder)) is not None:
        images, labels, of_set = read_cifar(binary, split)
        return images, labels, (), of_set
    if has_idx_files(folder):
        return *read_idx_folder(folder, split), name
    raise problem(
        f"images in {folder}",
        "none of the known kinds",
        "put there pictures (.png, .jpg), in a folder for each class if there are any; NumPy arrays (train_images.npy, "
        "train_labels.npy, test_images.npy, test_labels.npy); CIFAR's binary files (data_batch_1.bin, test_batch.bin); "
        "or MNIST's four files (train- and t10k-, images-idx3-ubyte and labels-idx1-ubyte)",
    )


def _digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """1797 digits of 8 × 8 pixels in 17 shades, from scikit-learn (UCI Optical Recognition of Handwritten Digits, its
    test part). The last fifth of each class in file order is the test split, so no random generator is involved."""
    try:
        # Imported by name, because scikit-learn is needed for this data set only and is not a dependency.
        found = importlib.import_module("sklearn.datasets").load_digits()
    except ImportError as error:
        raise problem(
            "scikit-learn, which holds the data set digits",
            "a Python without it",
            "pip install scikit-learn, or give a folder of MNIST's files",
        ) from error
    labels = np.asarray(found.target)
    images = np.rint(np.asarray(found.images) * (255 / 16)).astype(np.uint8)
    kept = last_fifth(labels) == (split == "test")
    return images[kept, None], labels[kept]


def _hub(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads the cache of the package `datasets`, or downloads into it."""
    hub = HUB[name]
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise problem(
            f"the package datasets, which loads {name}",
            "a Python without it",
            "pip install 'rlgen[data]', or give a folder of images",
        ) from error
    try:
        found = load_dataset(hub.id, split=split)
        images = np.stack([np.asarray(image.convert(hub.mode), dtype=np.uint8) for image in found[hub.image]])
        labels = np.asarray(found[hub.label])
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        # No network, a removed data set, a full disk: the hub's clients raise subclasses of these for all of them.
        first_line = (str(error).splitlines() or [""])[0]
        raise problem(
            f"the data set {hub.id} in the cache of the package datasets, or a network to fetch it",
            f"{type(error).__name__}: {first_line}",
            "connect and try again, or give a folder of images instead of a name",
        ) from error
    pixels = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return pixels, labels


def _fields(
    images: np.ndarray, labels: np.ndarray, class_names: tuple[str, ...], name: str, split: str
) -> dict[str, Any]:
    mapped = isinstance(images, np.memmap)
    return {
        "images": torch.from_numpy(images if mapped else np.array(images, dtype=np.uint8, order="C")),
        "labels": torch.from_numpy(labels.astype(np.int64)),
        "class_names": class_names,
        "name": name,
        "split": split,
    }
