"""The last images of two domains, which are two classes of labeled images."""

import torch
from torch import Tensor, nn

from rlgen.generators.image_model import ImageShape


class DomainMemory(nn.Module):
    """The last `size` images of each of two classes, in its state dict.

    No class needs a fixed number of images in a minibatch: those that are missing are taken from earlier ones. All
    shapes are fixed, and nothing synchronizes with the device.
    """

    images: Tensor
    count: Tensor

    def __init__(self, shape: ImageShape, classes: tuple[int, int], size: int):
        super().__init__()
        self.classes, self.size = classes, size
        self.register_buffer("images", torch.zeros(2, size, *shape.chw))
        self.register_buffer("count", torch.zeros(2, dtype=torch.int64))

    @torch.no_grad()
    def remember(self, images: Tensor, labels: Tensor) -> None:
        """Keep the images [B, C, H, W] whose labels [B] are the two classes, in front of earlier ones."""
        places = torch.arange(self.size, device=images.device)
        for domain, label in enumerate(self.classes):
            known = torch.cat([labels == label, places < self.count[domain]])
            order = torch.argsort((~known).byte(), stable=True)[: self.size]
            self.images[domain] = torch.cat([images, self.images[domain]])[order]
            self.count[domain] = known.sum().clamp(max=self.size)

    @property
    def ready(self) -> Tensor:
        """1.0 where both domains have images, otherwise 0.0: a scalar."""
        return (self.count > 0).all().float()

    def last(self, domain: int, n: int) -> Tensor:
        """The last `n` images [n, C, H, W] of a domain, 0 or 1, repeated if there are fewer."""
        return self.images[domain][torch.arange(n, device=self.images.device) % self.count[domain].clamp(min=1)]
