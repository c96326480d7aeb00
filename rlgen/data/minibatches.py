"""Endless minibatches of images, with labels for all of them or for some."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rlgen.data.images import ImageSet
from rlgen.errors import problem

Transform = Callable[[Tensor, torch.Generator], Tensor]
"""(images [B, C, H, W] in [0, 1], generator) → images: augmentation, binarization."""


class Minibatches:
    """Endless minibatches (images [B, C, H, W] in [0, 1], labels [B]) on the device of the set.

    Each epoch goes through the set in a new random order. Batches are always full: the last one of an epoch takes its
    missing images from the next epoch. Every image thus comes equally often, also if the set is smaller than a batch.
    One CPU generator with a seed draws everything, so the order is the same on every device.
    """

    def __init__(self, image_set: ImageSet, size: int, seed: int = 0, transforms: Sequence[Transform] = ()):
        if size < 1:
            raise problem("at least one image in a minibatch", f"{size}", "give a positive size")
        self.image_set, self.size, self.transforms = image_set, size, tuple(transforms)
        self.generator = torch.Generator().manual_seed(seed)
        self.order = torch.randperm(len(image_set), generator=self.generator)
        """int64 [N]: the order of the images in this epoch."""
        self.position = 0
        """Number of images of `order` that have been drawn."""

    @property
    def of_epoch(self) -> int:
        """Number of images of each minibatch that count towards an epoch, one pass over the set."""
        return self.size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        rows = self._rows().to(self.image_set.labels.device)
        images = self.image_set.floats(rows)
        for transform in self.transforms:
            images = transform(images, self.generator)
        return images, self.image_set.labels[rows]

    def _rows(self) -> Tensor:
        pieces, missing = [], self.size
        while missing:
            if self.position == len(self.order):
                self.order = torch.randperm(len(self.order), generator=self.generator)
                self.position = 0
            piece = self.order[self.position : self.position + missing]
            pieces.append(piece)
            self.position += len(piece)
            missing -= len(piece)
        return torch.cat(pieces)

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.get_state(), "order": self.order.clone(), "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues a stream over a set of the same size."""
        if len(state["order"]) != len(self.image_set):
            raise problem(
                f"the order of {len(self.image_set)} images", f"one of {len(state['order'])}", "load the same data set"
            )
        order, position = state["order"].cpu().clone(), int(state["position"])
        if not torch.equal(order.sort().values, torch.arange(len(order))) or not 0 <= position <= len(order):
            raise problem("each image once in the order of a stream", "another order", "load the state that was saved")
        self.generator.set_state(state["generator"].cpu())
        self.order, self.position = order, position


UNLABELLED = -1
"""The label of an image whose class is withheld."""


class PartlyLabeled:
    """Minibatches (images [B, C, H, W] in [0, 1], labels [B]) that alternate between an image of `labeled` with its
    label and an image of `every` with the label `UNLABELLED`, even if that image has a label.

    Salimans et al. 2016 (1606.03498), released code: each update has equally many of both kinds, and the labeled
    images also occur among all images. The few labeled images are thus seen much more often. Any slice of even length
    has equally many of both kinds, which players with several steps per update rely on.
    """

    def __init__(
        self, labeled: ImageSet, every: ImageSet, size: int, seed: int = 0, transforms: Sequence[Transform] = ()
    ):
        if size < 2 or size % 2:
            raise problem("minibatches of an even size, half of them labeled", f"{size}", "use e.g. --batch-size 100")
        self.size = size
        self.labeled = Minibatches(labeled, size // 2, seed, transforms)
        self.every = Minibatches(every, size // 2, seed + 1, transforms)

    @property
    def of_epoch(self) -> int:
        """Number of images of each minibatch that count towards an epoch: those of `every`."""
        return self.every.size

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        labeled, labels = next(self.labeled)
        unlabeled, _ = next(self.every)
        images = torch.stack([labeled, unlabeled], 1).flatten(0, 1)
        return images, torch.stack([labels, torch.full_like(labels, UNLABELLED)], 1).flatten()

    def state_dict(self) -> dict[str, Any]:
        return {"labelled": self.labeled.state_dict(), "every": self.every.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues streams over sets of the same sizes."""
        self.labeled.load_state_dict(state["labelled"])
        self.every.load_state_dict(state["every"])
