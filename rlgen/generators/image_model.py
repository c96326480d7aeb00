"""The base class of image models, and protocols for their optional capabilities."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from rlgen.errors import problem
from rlgen.generators.generative_model import GenerativeModel

# Image models import these with their base class.
from rlgen.generators.generative_model import Player as Player
from rlgen.generators.generative_model import Terms as Terms
from rlgen.generators.image_batches import require_images, require_labels
from rlgen.nn.attacks import AttackName


@dataclass(frozen=True, kw_only=True)
class ImageShape:
    """Shape of images [channels, height, width] and the number of classes of their labels (0: no labels)."""

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
        """Number of elements of one image."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels} × {self.height} × {self.width}"


def great_circle(begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Spherical interpolation from `begin` to `end` [..., Z] at the fraction `share` [..., 1]. Shoemake 1985; for
    latents White 2016 (1609.04468). Linear interpolation would pass through norms that are very unlikely under a
    Gaussian prior in many dimensions."""
    cosine = (begin * end).sum(-1, keepdim=True) / (begin.norm(dim=-1, keepdim=True) * end.norm(dim=-1, keepdim=True))
    angle = cosine.clamp(-1, 1).acos()
    curved = (torch.sin((1 - share) * angle) * begin + torch.sin(share * angle) * end) / angle.sin()
    return torch.where(angle.sin() < 1e-4, torch.lerp(begin, end, share), curved)  # parallel vectors: no unique circle


class ImageModel(GenerativeModel):
    """A model of images in [0, 1], constructed as `Model(shape, config)`."""

    conditional: bool = False
    """Whether it requires labels."""
    semi_supervised: ClassVar[bool] = False
    """Whether it learns classes from a few labeled images; unlabeled images have the label -1."""
    collapse_remedy: ClassVar[str] = "train for longer, with a larger network or with a lower learning rate"
    """Settings to change when its samples have collapsed: the last part of the warning."""

    def __init__(self, shape: ImageShape, config: Any = None):
        super().__init__()
        self.shape, self.config = shape, config

    def require_batch_size(self, size: int) -> None:
        """Raise `InputError` unless the model can learn from batches of `size` images."""

    def require_data(self, data: Tensor, labels: Tensor | None) -> None:
        """Raise `InputError` unless these are images [B, C, H, W] in [0, 1], and labels [B], if any, of its classes."""
        require_images(data, self.shape.chw)
        if labels is not None and self.shape.n_classes:
            require_labels(labels, len(data), self.shape.n_classes, self.semi_supervised)

    @property
    def binary(self) -> bool:
        """Whether its likelihood is of binary pixels, so that grey images must be binarized first."""
        return False

    @property
    def log_determinant(self) -> float | None:
        """log |d x / d level| of the transform from an image's levels, 0 to 255, to the x whose density the likelihood
        is, nats per image; 0 for a likelihood of the levels themselves. None for a model without such a likelihood."""
        return None

    def between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """Interpolation from latent `begin` to `end` [..., Z] at the fraction `share` [..., 1]: spherical, for Gaussian
        latents."""
        return great_circle(begin, end, share)


@runtime_checkable
class Samples(Protocol):
    """A model that draws images."""

    def sample(self, n: int, labels: Tensor | None = None) -> Tensor:
        """Images [n, C, H, W] in [0, 1], without gradient."""
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """A model that reconstructs images."""

    def reconstruct(self, images: Tensor) -> Tensor:
        """Reconstructions [B, C, H, W] of images [B, C, H, W], without gradient."""
        ...


@runtime_checkable
class Translates(Protocol):
    """A model that translates images from one domain to another."""

    @property
    def domains(self) -> tuple[int, int]:
        """The classes of images and of their translations."""
        ...

    def translate(self, images: Tensor) -> Tensor:
        """Translations [B, C, H, W] of images [B, C, H, W] of the first domain, without gradient."""
        ...

    def translations(self, n: int) -> tuple[Tensor, Tensor]:
        """Images [n, C, H, W] of one domain and their translations [n, C, H, W], without gradient."""
        ...


@runtime_checkable
class HasLogWeight(Protocol):
    """A model whose likelihood is bounded with importance weights."""

    def log_weight(self, images: Tensor, samples: int) -> Tensor:
        """log p(x, z) - log q(z | x), nats, [samples, B]."""
        ...


@runtime_checkable
class HasLogProb(Protocol):
    """A model whose likelihood is known."""

    def log_prob(self, images: Tensor) -> Tensor:
        """log p(x), nats [B]."""
        ...


@runtime_checkable
class HasLogDensity(Protocol):
    """A model with an exact density of dequantized images, such as a normalizing flow."""

    def log_density(self, images: Tensor) -> Tensor:
        """Log-density of x = (level + noise) / 256, nats [B], of images [B, C, H, W] with new uniform noise, without
        gradient."""
        ...


@runtime_checkable
class HasBound(Protocol):
    """A model with a bound on its likelihood that no importance weights make tighter."""

    def bound(self, images: Tensor) -> Tensor:
        """An unbiased estimate of a lower bound on log p(x), nats [B]."""
        ...


@runtime_checkable
class Completes(Protocol):
    """A model that completes images from their upper rows."""

    def complete(self, images: Tensor, rows: int) -> Tensor:
        """Images [B, C, H, W], without gradient: the first `rows` rows of `images` [B, C, H, W], and a sample of the
        others given these."""
        ...


@runtime_checkable
class Decoder(Protocol):
    """A model that decodes latents of a fixed size, and interpolates between them."""

    def prior(self, n: int) -> Tensor:
        """Latents [n, Z] drawn from the prior."""
        ...

    def between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """Interpolation from latent `begin` to `end` [..., Z] at the fraction `share` [..., 1]."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Images [n, C, H, W] in [0, 1] of latents [n, Z], without gradient."""
        ...


@runtime_checkable
class ClassDecoder(Protocol):
    """A model that decodes pairs of a latent and a class, which vary independently."""

    shape: ImageShape

    def prior(self, n: int) -> Tensor:
        """Latents [n, Z] drawn from the prior."""
        ...

    def between(self, begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
        """Interpolation from latent `begin` to `end` [..., Z] at the fraction `share` [..., 1]."""
        ...

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Images [n, C, H, W] in [0, 1] of latents [n, Z] and classes [n], without gradient."""
        ...


@runtime_checkable
class InfersCategory(Protocol):
    """A model with a categorical code, learned without labels, that generates images of a category and infers it."""

    n_codes: int
    """Number of categories."""

    def infer_category(self, images: Tensor) -> Tensor:
        """The most probable category int64 [B] of images [B, C, H, W], without gradient."""
        ...

    def traverse(self, rows: int) -> Tensor:
        """Images [rows · n_codes, C, H, W], without gradient; only the category varies within a row."""
        ...


@runtime_checkable
class Traverses(Protocol):
    """A model that shows the effect of single latent dimensions."""

    def traversals(self, images: Tensor, rows: int, columns: int) -> Tensor:
        """Images [R · columns, C, H, W], without gradient; one latent dimension varies within a row. R is at most
        `rows`, and 0 if there is nothing to show. `images` [B, C, H, W] determine which dimensions are shown."""
        ...


@runtime_checkable
class DrawsInSteps(Protocol):
    """A model that draws an image in several steps."""

    def stages(self, n: int) -> Tensor:
        """Stages [T, n, C, H, W] in [0, 1] of n samples, one after each of T steps, without gradient."""
        ...


@runtime_checkable
class FindsObjects(Protocol):
    """A model that finds the objects in an image."""

    def count(self, images: Tensor) -> Tensor:
        """Number of objects int64 [B] in images [B, C, H, W], without gradient."""
        ...

    def boxes(self, images: Tensor) -> Tensor:
        """Top, left, bottom and right [B, T, 4] of at most T objects in images [B, C, H, W], pixels from the upper left
        corner, NaN for those that are not there, without gradient."""
        ...


@runtime_checkable
class VariesFactors(Protocol):
    """A model that renders images with values of some factors, and has a latent for each of these."""

    factors: tuple[str, ...]
    """Names of the F factors."""

    def factor_values(self, n: int) -> Tensor:
        """Random values [n, F] of the factors, as in the training."""
        ...

    def render(self, images: Tensor, values: Tensor) -> Tensor:
        """Images [B, C, H, W] with values [B, F] of the factors, without gradient."""
        ...

    def encode(self, images: Tensor) -> Tensor:
        """The expected latents [B, Z] of rendered images [B, C, H, W], first those of the factors, without gradient."""
        ...


@runtime_checkable
class HasFeatures(Protocol):
    """A model with features of images, to which a linear classifier can be fitted."""

    def features(self, images: Tensor) -> Tensor:
        """Features [B, F] of images [B, C, H, W], without gradient."""
        ...


@runtime_checkable
class Classifies(Protocol):
    """A model that classifies images."""

    def class_logits(self, images: Tensor) -> Tensor:
        """Class logits [B, K] of images [B, C, H, W], without gradient."""
        ...


@runtime_checkable
class Attackable(Classifies, Protocol):
    """A classifier whose errors are also measured on attacked images."""

    def attacked(self, images: Tensor, labels: Tensor, attack: AttackName) -> Tensor:
        """Images [B, C, H, W] in [0, 1], changed so that they are taken for other classes than `labels` [B], without
        gradient."""
        ...
