"""A set of labeled images, and its binarization."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from rlgen.errors import problem


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """N images with their classes, on one device. C channels, H height, W width."""

    images: Tensor
    """uint8 [N, C, H, W], 0 dark, 255 bright."""

    labels: Tensor
    """int64 [N], from 0."""

    name: str = "these images"
    """Name for messages and results."""

    split: str = "train"
    """The split: train, test, or a description of the selection."""

    classes: int | None = None
    """Number of classes; the largest label plus one if not given."""

    class_names: tuple[str, ...] = ()
    """Names of the classes in their order, such as those of folders; empty where the classes are only numbered."""

    counted: bool = False
    """Whether labels are numbers of objects, as those of `rlgen.data.scattered`."""

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            got = f"{self.images.dtype} {list(self.images.shape)}"
            raise problem("images of bytes [N, C, H, W]", f"{got} in {self.name}", "give torch.uint8, 0 to 255")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            got = f"{self.labels.dtype} {list(self.labels.shape)} for {len(self.images)} images"
            raise problem("one int64 label for each image", f"{got} in {self.name}", "give labels [N]")
        if not len(self.images):
            raise problem("at least one image", f"none in {self.name}", "check the source of the images")
        if self.classes is None and self.class_names:
            object.__setattr__(self, "classes", len(self.class_names))
        least, most = int(self.labels.min()), int(self.labels.max())
        if least < 0 or (self.classes is not None and most >= self.classes):
            expected = f"labels from 0 to {self.classes - 1}" if self.classes else "labels from 0"
            raise problem(expected, f"{least} to {most} in {self.name}", "number the classes from 0")

    @classmethod
    def load(cls, name_or_path: str | Path, split: str = "train", size: int | None = None) -> "ImageSet":
        """Loads the "train" or "test" images of a named data set, or of a folder or file of images.

        Args:
            name_or_path: "digits" (from scikit-learn, on this disk); "mnist", "fashion-mnist" or "cifar10" (through
                the package `datasets`, from its cache or the Hugging Face hub: only these names use a network);
                anything else is a path. It may be

                - a folder of PNG or JPEG pictures, optionally in a folder for each class and within folders train and
                  test (without them, the last fifth of each class is the test split);
                - a folder with MNIST's file names, gzipped or not, or with CIFAR's binary files;
                - demonstrations with one image in each observation, an .npz file, whose last fifth of frames is the
                  test split;
                - NumPy arrays of bytes: an .npz file, or a folder of .npy files, which are mapped into memory
                  (`rlgen.data.image_arrays`).

                Labels with gaps, such as 0, 3 and 7, become classes 0, 1 and 2 with these `class_names`.

                Give a folder with the name of a data set as ./mnist.
            split: "train" or "test".
            size: height and width. The largest square in the middle of each image is scaled to it. By default images
                keep their size, which must be one.

        Raises:
            InputError: an unknown split or path; missing, damaged or unrelated files; pictures of several sizes; a
                missing package; no network.
        """
        from rlgen.data import image_sources

        if split not in image_sources.SPLITS:
            raise problem(" or ".join(image_sources.SPLITS), f"the split {split!r}", "choose one of these")
        if size is not None and size < 1:
            raise problem("a size of at least one pixel", f"{size}", "give e.g. 32")
        found = cls(**image_sources.read(name_or_path, split, size))
        return found if size is None else found.scaled(size)

    def scaled(self, size: int) -> "ImageSet":
        """The largest square in the middle of each image, scaled to `size` × `size` pixels."""
        if self.shape[1:] == (size, size):
            return self
        pieces = [scaled(self.images[start : start + PIECE], size) for start in range(0, len(self), PIECE)]
        return replace(self, images=torch.cat(pieces))

    def to(self, device: str | torch.device) -> "ImageSet":
        """The same images on `device`, still as bytes."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def floats(self, rows: Tensor | slice = slice(None)) -> Float[Tensor, "n c h w"]:
        """The images, or those in `rows`, as float32 in [0, 1] on the set's device."""
        return self.images[rows].float().contiguous().div_(255)

    def take(self, rows: Tensor | slice, split: str | None = None) -> "ImageSet":
        """The images in `rows`, in that order; the number of classes does not change."""
        return replace(
            self, images=self.images[rows], labels=self.labels[rows], split=split or self.split, classes=self.n_classes
        )

    def of_class(self, label: int) -> "ImageSet":
        """The images of one class. Raises `InputError` if there are none."""
        found, known = self.labels == label, self.class_names[label] if label < len(self.class_names) else label
        if not found.any():
            raise problem(f"images of class {known}", f"none in {self.name}", "choose a class that the data has")
        return replace(self.take(found), name=f"{self.name}, class {known}")

    def some(self, count: int) -> "ImageSet":
        """At most `count` images in a random order, the same in every run. The first ones of a set would not do: its
        files may be sorted by class."""
        return self.take(
            torch.randperm(len(self), generator=torch.Generator().manual_seed(0))[:count].to(self.labels.device)
        )

    def labeled(self, count: int, seed: int = 0) -> "ImageSet":
        """`count` images, equally many of each class, for semi-supervised learning. Salimans et al. 2016 (1606.03498),
        section 5: MNIST with 100 labels, ten of each class, chosen by seed.

        Raises:
            InputError: a count that the number of classes does not divide, or more images of a class than there are.
        """
        each, rest = divmod(count, self.n_classes)
        if rest or each < 1:
            raise problem(
                f"a multiple of the {self.n_classes} classes",
                f"{count} labeled images",
                f"take as many of each class, e.g. --labels {self.n_classes} or {10 * self.n_classes}",
            )
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed)).to(self.labels.device)
        shuffled = self.labels[order]
        rows = [order[shuffled == label][:each] for label in range(self.n_classes)]
        short = min(range(self.n_classes), key=lambda label: len(rows[label]))
        if len(rows[short]) < each:
            raise problem(
                f"{each} images of each class",
                f"{len(rows[short])} of class {short} in {self.name}",
                "take fewer (--labels)",
            )
        return self.take(torch.cat(rows).sort().values, f"{count} labeled of {self.split}, seed {seed}")

    @property
    def n_classes(self) -> int:
        return self.classes if self.classes is not None else int(self.labels.max()) + 1

    @property
    def classified(self) -> bool:
        """Whether the labels tell images apart: those of pictures without classes are all equal."""
        return bool((self.labels != self.labels[0]).any())

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def in_order(self, size: int) -> Iterator[tuple[Float[Tensor, "b c h w"], Int64[Tensor, " b"]]]:
        """(floats, labels) of every image once, `size` at a time, the last time what is left; for evaluation."""
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            yield self.floats(rows), self.labels[rows]

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        sizes = " × ".join(str(size) for size in self.images.shape)
        return f"ImageSet({self.name}, {self.split}: {sizes}, {self.n_classes} classes)"


Images = Float[Tensor, "*batch"]
PIECE = 4096
"""Number of images that are binarized or scaled at a time."""


def scaled(images: Tensor, size: int) -> Tensor:
    """The largest square in the middle of each image uint8 [B, C, H, W], scaled to uint8 [B, C, size, size] by bicubic
    interpolation over all pixels that a new one covers."""
    height, width = images.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = images[:, :, top : top + side, left : left + side].float()
    found = F.interpolate(square, (size, size), mode="bicubic", antialias=True)
    return found.round_().clamp_(0, 255).to(torch.uint8)


def stochastic_binarization(images: Images, generator: torch.Generator) -> Images:
    """1 with a probability equal to the brightness in [0, 1], else 0; a transform of `Minibatches`.

    The noise is drawn on the generator's device, so that a seed gives the same images on every device.
    """
    noise = torch.rand(images.shape, generator=generator, device=generator.device, dtype=images.dtype)
    return (noise.to(images.device) < images).to(images.dtype)


def fixed_binarization(image_set: ImageSet, seed: int = 0) -> ImageSet:
    """The set with every pixel 0 or 255, drawn once. The first n images do not depend on how many follow."""
    generator = torch.Generator().manual_seed(seed)
    pieces = [
        stochastic_binarization(image_set.floats(slice(start, start + PIECE)), generator).mul(255).to(torch.uint8)
        for start in range(0, len(image_set), PIECE)
    ]
    return replace(image_set, images=torch.cat(pieces), name=f"{image_set.name}, binarized with seed {seed}")


def fingerprint(images: ImageSet) -> dict[str, str | int]:
    """Name, number of images, and the sha256 of shape, pixels and labels; the same on every device."""
    digest = hashlib.sha256(str(list(images.images.shape)).encode())
    for tensor in (images.images, images.labels):
        for piece in tensor.split(PIECE):  # images that are mapped into memory may not fit into it
            digest.update(piece.cpu().contiguous().numpy().data)
    return {"name": images.name, "n": len(images), "sha256": digest.hexdigest()}
