"""Minibatches for semi-supervised learning: of a few images the label is told, of all others it is not."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rlgen.data.images import ImageSet
from rlgen.data.minibatches import Minibatches, Transform
from rlgen.errors import problem

UNLABELLED = -1
"""In place of a label that is not told."""


class PartlyLabelled:
    """(images [B, C, H, W] in [0, 1], labels [B]): by turns an image of `labelled` with its label, and one of `every`
    with the label `UNLABELLED`, whatever its own is.

    Salimans et al. 2016 (1606.03498), released code: as many of either kind in every update, and the labelled images
    once more among all the others. Both kinds come equally often, so the few labelled ones are seen much more often.
    Any piece of even length has as many of either, for players with several turns.
    """

    def __init__(
        self, labelled: ImageSet, every: ImageSet, size: int, seed: int = 0, transforms: Sequence[Transform] = ()
    ):
        if size < 2 or size % 2:
            raise problem("minibatches of an even size, half of them labelled", f"{size}", "use e.g. --batch-size 100")
        self.size = size
        self.labelled = Minibatches(labelled, size // 2, seed, transforms)
        self.every = Minibatches(every, size // 2, seed + 1, transforms)

    @property
    def of_epoch(self) -> int:
        """How many images of each minibatch count towards an epoch: those of `every`."""
        return self.every.size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        told, labels = next(self.labelled)
        untold, _ = next(self.every)
        images = torch.stack([told, untold], 1).flatten(0, 1)
        return images, torch.stack([labels, torch.full_like(labels, UNLABELLED)], 1).flatten()

    def state_dict(self) -> dict[str, Any]:
        return {"labelled": self.labelled.state_dict(), "every": self.every.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue streams over sets of the same sizes."""
        self.labelled.load_state_dict(state["labelled"])
        self.every.load_state_dict(state["every"])
