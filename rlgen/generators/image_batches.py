"""Checks of the images and labels that an image model is given to learn from."""

import torch
from torch import Tensor

from rlgen.errors import problem

SLACK = 1e-3
"""Distance from [0, 1] that rounding may have."""
OVERSHOOT = 0.5
"""Distance that bicubic resizing may have."""
BYTES = "give images.float() / 255, or batches of rlgen.data.minibatches.Minibatches"


def require_images(images: Tensor, chw: tuple[int, int, int]) -> None:
    """Raise `InputError` unless `images` are floats [B, C, H, W] in [0, 1]. `chw`: the model's channels, height and
    width."""
    expected = f"images [B, {', '.join(map(str, chw))}] with values from 0 to 1"
    if not isinstance(images, Tensor):
        raise problem(expected, f"a {type(images).__name__}", "give a tensor, e.g. torch.as_tensor(images)")
    if tuple(images.shape[1:]) != chw or images.ndim != 4 or not len(images):
        raise problem(expected, f"the shape {list(images.shape)}", "change their shape, or the model's ImageShape")
    if not images.is_floating_point():
        raise problem(expected, f"{images.dtype}", BYTES)
    low, high = (float(value) for value in images.detach().aminmax())
    if low >= -SLACK and high <= 1 + SLACK:
        return
    remedy = "rescale them"
    if low >= -SLACK and 1.5 < high <= 255:
        remedy = "divide them by 255"
    elif low >= -1 - SLACK and high <= 1 + SLACK:
        remedy = "give (images + 1) / 2"
    elif low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        remedy = "clamp them, images.clamp(0, 1), if they are resized, else rescale them"
    raise problem(expected, f"values from {low:g} to {high:g}", remedy)


def require_labels(labels: Tensor, count: int, n_classes: int, unlabeled: bool) -> None:
    """Raise `InputError` unless `labels` are one class for each of `count` images, or -1 where some may be
    `unlabeled`."""
    expected = f"one int64 label from 0 to {n_classes - 1} for each of {count} images"
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (count,):
        got = f"{labels.dtype} {list(labels.shape)}" if isinstance(labels, Tensor) else f"a {type(labels).__name__}"
        raise problem(expected, got, "give labels as a tensor [B] of int64")
    low, high = (int(value) for value in labels.aminmax())
    if low < (-1 if unlabeled else 0) or high >= n_classes:
        raise problem(expected, f"labels from {low} to {high}", "number the classes from 0, or give n_classes of them")
