"""What image models have in common, and what some of them can do besides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from rlgen.errors import problem
from rlgen.generators.player import Player, Terms


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """Images [channels, height, width], with `n_classes` kinds of label (0: without labels)."""

    channels: int
    height: int
    width: int
    n_classes: int = 0

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1 or self.n_classes < 0:
            raise problem("images of at least one pixel", str(self), "check the shape of the data")

    @property
    def chw(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width

    @property
    def numbers(self) -> int:
        """Numbers in one image."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels} × {self.height} × {self.width}"


def great_circle(begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """From `begin` to `end` [..., Z], `share` [..., 1] of the way (Shoemake 1985; for latents White 2016, 1609.04468).
    A straight line would pass through lengths that a Gaussian prior in many dimensions never has."""
    cosine = (begin * end).sum(-1, keepdim=True) / (begin.norm(dim=-1, keepdim=True) * end.norm(dim=-1, keepdim=True))
    angle = cosine.clamp(-1, 1).acos()
    curved = (torch.sin((1 - share) * angle) * begin + torch.sin(share * angle) * end) / angle.sin()
    return torch.where(angle.sin() < 1e-4, torch.lerp(begin, end, share), curved)  # parallel: there is no circle


class ImageModel(nn.Module):
    """A model of images in [0, 1], made as `Model(shape, config)`."""

    config_type: ClassVar[type[Any]]
    """Its configuration: a frozen dataclass whose defaults reproduce a cited experiment."""
    averaged: ClassVar[tuple[str, ...]] = ()
    """Modules of which a moving average is taken where one is asked for; none: the whole model."""
    conditional: ClassVar[bool] = False
    """Whether it needs labels."""
    semi_supervised: ClassVar[bool] = False
    """Whether it learns classes from a few labelled images, all others having the label -1."""

    config: Any

    def __init__(self, shape: ImageShape, config: Any = None):
        super().__init__()
        self.shape, self.config = shape, config

    @property
    def binary(self) -> bool:
        """Whether it is a likelihood of zeros and ones, so that grey images are to be binarised first."""
        return False

    @property
    def log_determinant(self) -> float | None:
        """log |d seen / d level| of the way from an image's levels, 0 to 255, to what its likelihood is a density of,
        nats per image; 0 for a likelihood of the levels themselves. None: it has no likelihood of levels."""
        return None

    def players(self) -> Sequence[Player]:
        """In the order of their turns."""
        raise NotImplementedError

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """Images [n, C, H, W] in [0, 1], without gradient."""
        raise NotImplementedError

    def between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """From latent `begin` to `end` [..., Z], `share` [..., 1] of the way: along the great circle, which is for
        Gaussian latents."""
        return great_circle(begin, end, share)

    def before_first_update(self, images: Tensor) -> None:
        """Called once, with the images [B, C, H, W] of the first update; for initial values that depend on data."""

    def after_update(self, logs: Terms) -> None:
        """Called after every player's turns with what they logged; for state that follows rules of its own."""


@runtime_checkable
class Reconstructs(Protocol):
    """Encodes and decodes."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C, H, W], without gradient."""
        ...


@runtime_checkable
class Weighs(Protocol):
    """Bounds its likelihood by importance weights."""

    def log_weight(self, images: Tensor, samples: int) -> Tensor:
        """log p(x, z) - log q(z | x), nats, [samples, B]."""
        ...


@runtime_checkable
class Decodes(Protocol):
    """Makes images of latents of a fixed size, which can be walked between."""

    def prior(self, n: int) -> Tensor:
        """Latents [n, Z]."""
        ...

    def between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """From latent `begin` to `end` [..., Z], `share` [..., 1] of the way."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """[n, Z] to images [n, C, H, W] in [0, 1], without gradient."""
        ...


@runtime_checkable
class DecodesClasses(Protocol):
    """Makes images of latents and classes, either of which may stay while the other changes."""

    shape: ImageShape

    def prior(self, n: int) -> Tensor:
        """Latents [n, Z]."""
        ...

    def between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """From latent `begin` to `end` [..., Z], `share` [..., 1] of the way."""
        ...

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """[n, Z] and classes [n] to images [n, C, H, W] in [0, 1], without gradient."""
        ...


@runtime_checkable
class Coded(Protocol):
    """Makes images of a category that it found by itself, and tells which one an image is of."""

    n_codes: int
    """Categories."""

    def code_of(self, images: Tensor) -> Tensor:
        """[B, C, H, W] to the likeliest category int64 [B], without gradient."""
        ...

    def traverse(self, rows: int) -> Tensor:
        """Images [rows · n_codes, C, H, W], alike within a row but for the category, without gradient."""
        ...


@runtime_checkable
class Traverses(Protocol):
    """Shows what single numbers of its latents do."""

    def traversals(self, images: Tensor, rows: int, columns: int) -> Tensor:
        """Images [R · columns, C, H, W], R at most `rows` and 0 where there is nothing to show, without gradient: in
        every row one number of a latent changes and the others stay. `images` [B, C, H, W]: to choose numbers by."""
        ...


@runtime_checkable
class Probed(Protocol):
    """Has features of images that a linear classifier may be fitted to."""

    def features(self, images: Tensor) -> Tensor:
        """[B, C, H, W] to [B, F], without gradient."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """Tells what classes images are of."""

    def class_logits(self, images: Tensor) -> Tensor:
        """[B, C, H, W] to logits of the classes [B, K], without gradient."""
        ...
