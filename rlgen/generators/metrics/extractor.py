"""What turns images into the features and class probabilities that metrics compare."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Num
from torch import Tensor

from rlgen.errors import problem


@runtime_checkable
class Extractor(Protocol):
    """Metrics of two extractors are never comparable, so a result keeps `name` and `hash`."""

    name: str
    """For people, e.g. "classifier of mnist"."""

    hash: str
    """sha256 of its weights."""

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """Of images in [0, 1]; no gradient."""
        ...

    def probs(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Class probabilities of images in [0, 1]; rows sum to 1."""
        ...


def in_pieces(
    function: Callable[[Tensor], Tensor], images: Num[Tensor, "n c h w"], size: int = 500
) -> Float[Tensor, "n f"]:
    """`function` of all images, without a gradient, `size` of them at a time."""
    if not len(images):
        raise problem("at least one image to measure", "none", "generate some first")
    with torch.no_grad():
        return torch.cat([function(piece) for piece in images.split(size)])
