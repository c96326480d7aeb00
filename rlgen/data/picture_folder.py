"""Reads a folder of PNG and JPEG pictures, optionally with a folder for each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rlgen.data.picture import DECODING, header, pixels
from rlgen.errors import problem
from rlgen.system.memory import require_room

ENDINGS = (".png", ".jpg", ".jpeg")
GREY = {"1", "L", "LA"}
COLOUR = {"RGB", "RGBA", "P", "CMYK", "YCbCr"}
SYSTEM_FILES = {".ds_store", "thumbs.db", "desktop.ini"}
"""Files that operating systems leave in folders of pictures."""


def has_pictures(folder: Path) -> bool:
    """Whether the folder, its class folders or the class folders of its splits hold pictures."""
    return any(_is_picture(path) for depth in ("*", "*/*", "*/*/*") for path in folder.glob(depth))


def read_pictures(folder: Path, split: str, size: int | None = None) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Images uint8 [N, C, H, W], labels [N] and the names of the classes of the "train" or "test" pictures. With a
    `size`, the largest square in the middle of each is scaled to that height and width; without, all must have one
    size.

    Folders named train and test within `folder` are the splits; without them, the last fifth of each class in name
    order is the test split, so no random generator is involved. Within a split, each folder is a class, numbered in
    name order; pictures without class folders are all of class 0. If all pictures are grey they have one channel, else
    all become RGB. They are turned as their EXIF orientation says, and what is transparent becomes
    white.

    Raises:
        InputError: pictures of several sizes, of 16 bits, damaged or of other formats; other files; only one of the
            two splits; more data than fits in memory.
    """
    labeled = _by_split(folder)
    if not labeled["test"]:
        raise problem("at least 5 pictures of a class, one of them for testing", f"fewer in {folder}", "add some")
    sizes, modes = _headers([path for each in labeled.values() for path, _ in each], any_size=size is not None)
    largest = max(width * height for width, height in sizes)
    shape = sizes[0] if size is None else (size, size)
    names = tuple(each.name for each in _class_folders(folder / "train" if _divided(folder) else folder))
    return *_pixels(labeled[split], shape, "L" if modes <= GREY else "RGB", folder, largest), names


def _divided(folder: Path) -> bool:
    """Whether the folder has folders for its splits."""
    return (folder / "train").is_dir()


def _by_split(folder: Path) -> dict[str, list[tuple[Path, int]]]:
    """The pictures of each split with their labels."""
    missing = [name for name in ("train", "test") if not (folder / name).is_dir()]
    if len(missing) == 1:
        raise problem("folders train and test, or neither", f"{folder} without {missing[0]}", "add or rename it")
    if not missing:
        _require_same_classes(folder)
        return {
            split: [(path, label) for label, paths in enumerate(_classes(folder / split)) for path in paths]
            for split in ("train", "test")
        }
    found: dict[str, list[tuple[Path, int]]] = {"train": [], "test": []}
    for label, paths in enumerate(_classes(folder)):
        first = len(paths) - len(paths) // 5
        found["train"] += [(path, label) for path in paths[:first]]
        found["test"] += [(path, label) for path in paths[first:]]
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and path.is_file()


def _classes(folder: Path) -> list[list[Path]]:
    """The pictures of each class, by name."""
    folders = _class_folders(folder)
    found = [_pictures(each) for each in folders] if folders else [_pictures(folder)]
    loose = _pictures(folder) if folders else []
    if loose:
        raise problem(
            "every picture in the folder of its class, or none",
            f"{len(loose)} next to the folders {', '.join(each.name for each in folders[:5])} in {folder}",
            "move them into one",
        )
    empty = next((each for each, paths in zip(folders or [folder], found, strict=True) if not paths), None)
    if empty is not None:
        raise problem("pictures (.png, .jpg) in every folder of a class", f"none in {empty}", "add some or remove it")
    return found


def _class_folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    """The pictures in one folder, by name; an error names a file of any other kind."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    files = [path for path in files if not path.name.startswith(".") and path.name.lower() not in SYSTEM_FILES]
    other = next((path for path in files if not _is_picture(path)), None)
    if other is not None:
        raise problem("only pictures (.png, .jpg)", f"{other}", "move it elsewhere, or convert it to PNG")
    return files


def _require_same_classes(folder: Path) -> None:
    names = [[each.name for each in _class_folders(folder / split)] for split in ("train", "test")]
    if names[0] != names[1]:
        got = f"{', '.join(names[0]) or 'none'} and {', '.join(names[1]) or 'none'} in {folder}"
        raise problem("the same folders of classes in train and test", got, "make them the same")


def _pixels(
    labeled: Sequence[tuple[Path, int]], size: tuple[int, int], mode: str, folder: Path, largest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, C, H, W] and labels [N]; `size` is width and height, `largest` the pixels of the largest picture."""
    channels = len(mode)
    on_disk = sum(path.stat().st_size for path, _ in labeled)
    room = len(labeled) * channels * size[0] * size[1] + DECODING * largest
    require_room(room, f"the pictures in {folder}", on_disk)
    images = np.empty((len(labeled), channels, size[1], size[0]), np.uint8)
    for number, (path, _) in enumerate(labeled):
        picture = pixels(path, size, mode)
        images[number] = picture[None] if channels == 1 else picture.transpose(2, 0, 1)
    return images, np.array([label for _, label in labeled], np.int64)


def _headers(paths: Sequence[Path], any_size: bool) -> tuple[list[tuple[int, int]], set[str]]:
    """The widths and heights that occur, that of the first picture first, and the modes. Raises `InputError` for
    several sizes unless `any_size`."""
    sizes: dict[tuple[int, int], Path] = {}
    modes = set()
    for path in paths:
        size, mode = header(path)
        if mode not in GREY | COLOUR:
            raise problem("pictures of 8 bits per channel", f"mode {mode} in {path}", "convert it to 8 bits")
        sizes.setdefault(size, path)
        if len(sizes) > 1 and not any_size:
            shapes = [f"{width} × {height} in {path}" for (width, height), path in sizes.items()]
            raise problem("pictures of one size", " and ".join(shapes), "scale them to one size, e.g. --image-size 32")
        modes.add(mode)
    return list(sizes), modes
