"""Images of several objects: images of a set, such as digits, scattered on a larger canvas."""

from dataclasses import replace

import numpy as np
import torch

from rlgen.data.images import ImageSet
from rlgen.errors import problem

CANVAS = 2.5
"""Side of a canvas, in sides of the largest object: 50 × 50 pixels for MNIST, whose digits fill 20 × 20. Eslami et al.
2016 (1603.08575), section 3.1."""
TRIES = 1_000
"""Number of times that the places of an image's objects are drawn before it is refused."""
SEEDS = {"train": 0, "test": 1}


def scattered(image_set: ImageSet, most: int, side: int | None = None, seed: int = 0) -> ImageSet:
    """As many images, each with 0 to `most` objects, all numbers equally probable, at random places without overlap of
    their boxes. The labels are the numbers of objects. Eslami et al. 2016 (1603.08575), section 3.1.

    An object is a random image of `image_set` without its dark margin. `side`: pixels of the canvas's sides, by default
    `CANVAS` times the largest object's. Images stay bytes; MNIST's 60,000 on 50 × 50 are 150 MB.

    Raises:
        InputError: fewer than one object, or a canvas on which the objects do not fit.
    """
    if most < 1:
        raise problem("at least one object in some of the images", f"{most}", "use e.g. 2")
    random = np.random.default_rng(seed)
    images = image_set.images.cpu().numpy()
    boxes = ink(images)
    largest = int((boxes[:, 2:] - boxes[:, :2]).max())
    side = round(CANVAS * largest) if side is None else side
    if side < largest:
        got = f"a canvas of {side} × {side}"
        raise problem(f"a canvas of at least {largest} × {largest}, the largest object", got, "enlarge it (--canvas)")
    counts = random.integers(most + 1, size=len(images))
    chosen = random.integers(len(images), size=(len(images), most))
    there = np.arange(most) < counts[:, None]
    sizes = (boxes[chosen, 2:] - boxes[chosen, :2]) * there[..., None]
    places = _places(sizes, side, random)
    canvas = np.zeros((len(images), images.shape[1], side, side), np.uint8)
    columns = [chosen[there], *boxes[chosen[there], :2].T, *places[there].T, *sizes[there].T]
    for row, source, y, x, top, left, height, width in np.stack([there.nonzero()[0], *columns], 1).tolist():
        canvas[row, :, top : top + height, left : left + width] = images[source, :, y : y + height, x : x + width]
    return replace(
        image_set,
        images=torch.from_numpy(canvas).to(image_set.images.device),
        labels=torch.from_numpy(counts).to(image_set.labels.device),
        name=f"{image_set.name}, 0 to {most} on {side} × {side}",
        classes=most + 1,
        class_names=(),
        counted=True,
    )


def ink(images: np.ndarray) -> np.ndarray:
    """The smallest box around all pixels that are not black, of images [N, C, H, W]: top, left, bottom and right [N,
    4], the last two exclusive. An image without any has a box of one pixel."""
    bright = images.max(1) > 0
    found = []
    for along in (bright.max(2), bright.max(1)):
        first, last = along.argmax(1), along.shape[1] - along[:, ::-1].argmax(1)
        found.append((first, np.where(along.max(1), last, 1)))
    (top, bottom), (left, right) = found
    return np.stack([top, left, bottom, right], 1)


def _places(sizes: np.ndarray, side: int, random: np.random.Generator) -> np.ndarray:
    """Top and left [N, K, 2] of K boxes of `sizes` [N, K, 2] on each canvas, drawn together until no two overlap. A box
    that is not there has the size 0."""
    places = np.zeros_like(sizes)
    rows = np.arange(len(sizes))
    for _ in range(TRIES):
        places[rows] = random.integers(side - sizes[rows] + 1)
        rows = rows[_overlap(places[rows], places[rows] + sizes[rows])]
        if not len(rows):
            return places
    got = f"{int((sizes[rows[0]] > 0).all(-1).sum())} objects of up to {sizes[rows[0]].max()} pixels on {side} × {side}"
    raise problem("objects that fit on a canvas without overlap", got, "scatter fewer, or enlarge the canvas")


def _overlap(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Whether any two of the boxes from `first` to `last` [N, K, 2] overlap, for each row [N]."""
    there = np.all(first < last, -1)
    meets = np.all((first[:, :, None] < last[:, None]) & (first[:, None] < last[:, :, None]), -1)
    meets &= there[:, :, None] & there[:, None]
    return meets.sum((1, 2)) > there.sum(1)  # each box meets itself
