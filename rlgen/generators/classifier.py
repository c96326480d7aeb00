"""A small convolutional classifier: the feature extractor for images without a public network, such as digits; and its
training: cross-entropy, a one-cycle learning rate, randomly shifted images."""

import hashlib
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.checks import at_least, positive
from rlgen.errors import InputError, problem
from rlgen.generators.metrics.inception import in_pieces

log = logging.getLogger("rlgen")

SMALLEST = 4
"""Height or width in pixels down to which images are halved."""


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Network sizes and training of `Classifier`. With the defaults its test accuracy on MNIST is at least 99.2 %."""

    widths: tuple[int, ...] = (16, 32, 64)
    """Channels of each 3 × 3 convolution, each with batch norm, ReLU and, while the image is large enough, pooling."""
    n_features: int = 128
    """Number of features: units of the layer before the logits, after its ReLU."""
    epochs: int = 8
    """Minimum number of passes over the training images."""
    least_updates: int = 500
    """Minimum number of minibatches; a small data set is passed over more often."""
    batch: int = 128
    """Images per minibatch."""
    learning_rate: float = 3e-3
    """Maximum learning rate of AdamW; it increases over the first fifth and decreases to zero (one cycle)."""
    weight_decay: float = 1e-2
    """Weight decay of AdamW."""
    shift: float = 0.08
    """Largest random shift of an image, as a fraction of its height and width (whole pixels)."""

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1:
            raise problem("positive channels of at least one convolution", f"{self.widths}", "give e.g. (16, 32, 64)")
        at_least(self, 1, "n_features", "epochs", "least_updates")
        at_least(self, 2, "batch", remedy="give a larger batch: batch norm needs 2 images")
        positive(self, "learning_rate", remedy="give e.g. 3e-3")
        at_least(self, 0, "weight_decay", remedy="give e.g. 1e-2")
        if not 0 <= self.shift < 0.5:
            raise problem("a shift from 0 to below 0.5 of the image", f"{self.shift}", "give e.g. 0.08")


class Classifier(nn.Module):
    """A classifier of images [B, C, H, W] in [0, 1] → logits [B, K]. In training mode, batch norm uses the statistics
    of the batch."""

    def __init__(self, shape: tuple[int, int, int], n_classes: int, config: ClassifierConfig):
        super().__init__()
        self.shape, self.n_classes = shape, n_classes
        channels, height, width = shape
        if min(height, width) < SMALLEST:
            raise problem(f"images of at least {SMALLEST} × {SMALLEST}", f"{height} × {width}", "enlarge them first")
        layers: list[nn.Module] = []
        for out in config.widths:
            layers += [nn.Conv2d(channels, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
            if min(height, width) > SMALLEST:
                layers.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.last = nn.Linear(channels * height * width, config.n_features)
        self.head = nn.Linear(config.n_features, n_classes)

    def hidden(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b f"]:
        """Features [b, f] of the layer before the logits, with gradient."""
        if tuple(images.shape[1:]) != self.shape:
            raise problem(
                f"images of {' × '.join(str(size) for size in self.shape)}",
                " × ".join(str(size) for size in images.shape[1:]),
                "use a classifier of such images: resizing would change every metric",
            )
        return self.last(self.body(images * 2 - 1)).relu()

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        return self.head(self.hidden(images))


class ClassifierExtractor:
    """An `Extractor` with a trained classifier, which is set to evaluation mode and to no gradients."""

    def __init__(self, network: Classifier, name: str):
        self.network = network.eval().requires_grad_(False)
        self.name = name
        self.hash = weights_hash(network)

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        return in_pieces(lambda piece: self.network.hidden(self._here(piece)), images)

    def logits(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        return in_pieces(lambda piece: self.network(self._here(piece)), images)

    def probs(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        return self.logits(images).softmax(-1)

    def _here(self, images: Tensor) -> Tensor:
        return images.to(self.network.head.weight.device)


def weights_hash(network: nn.Module) -> str:
    """sha256 of the names, types, shapes and bytes of the network's state; independent of device and file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


@runtime_checkable
class LabeledImages(Protocol):
    """The attributes of an image set that training uses, e.g. of `rlgen.data.images.ImageSet`."""

    @property
    def images(self) -> Tensor:
        """uint8 [N, C, H, W]."""
        ...

    @property
    def labels(self) -> Tensor:
        """int64 [N]."""
        ...

    @property
    def n_classes(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def split(self) -> str: ...


class TrainingDiverged(InputError):
    """The loss is not finite, or the features are all 0."""


def train_classifier(train: LabeledImages, config: ClassifierConfig, seed: int = 0) -> Classifier:
    """Train a classifier on the images `train`, on their device.

    On a CPU with one thread the same seed gives the same weights. Torch's global generator and its number of threads do
    not change.

    Raises:
        InputError: fewer images than a minibatch, or images of one class, from which nothing can be learned.
        TrainingDiverged: the loss is not finite at the end of an epoch.
    """
    if len(train.images) < config.batch:
        raise problem(f"at least one minibatch of {config.batch} images", f"{len(train.images)}", "lower `batch`")
    if bool((train.labels == train.labels[0]).all()):
        got = f"images of one class in {train.name}"
        raise problem("images of at least 2 classes for a classifier", got, "give labels that tell images apart")
    device, (channels, height, width) = train.images.device, train.images.shape[1:]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Classifier((channels, height, width), train.n_classes, config).to(device).train()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    per_epoch = len(train.images) // config.batch
    epochs = max(config.epochs, math.ceil(config.least_updates / per_epoch))
    # One step more than are taken, because the scheduler warns after its last step.
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, total_steps=epochs * per_epoch + 1, pct_start=0.2, cycle_momentum=False
    )
    for epoch in range(epochs):
        losses = torch.zeros((), device=device)
        for rows in _epoch(len(train.images), config.batch, generator):
            images = shifted(train.images[rows.to(device)].float() / 255, config.shift, generator)
            loss = F.cross_entropy(network(images), train.labels[rows.to(device)])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses += loss.detach()
        mean = float(losses) / per_epoch
        if not math.isfinite(mean):
            raise TrainingDiverged(
                f"expected a finite loss of the classifier of {train.name}; got {mean} in epoch {epoch + 1}; lower its "
                "learning_rate, or leave it out (--classifier none)"
            )
        log.info("classifier of %s: epoch %d of %d, loss %.4f nats", train.name, epoch + 1, epochs, mean)
    bring_features_to_unit_size(network.eval(), train)
    return network


@torch.no_grad()
def bring_features_to_unit_size(network: Classifier, train: LabeledImages) -> None:
    """Scale the features to a mean square of 1 over the images `train`, and the head by the inverse.

    ReLU commutes with a positive factor, so the logits do not change. Without this, the scale of the features would be
    arbitrary, and FID and KID depend on it.
    """
    pieces = in_pieces(lambda piece: network.hidden(piece.float() / 255), train.images)
    size = float(pieces.double().square().mean().sqrt())
    if not (math.isfinite(size) and size > 0):
        raise TrainingDiverged(
            f"expected features of a positive size from the classifier of {train.name}; got {size}, as of images that "
            "are all equal; check the images, or leave it out (--classifier none)"
        )
    network.last.weight.div_(size)
    network.last.bias.div_(size)
    network.head.weight.mul_(size)


def accuracy_of(network: nn.Module, held: LabeledImages) -> float:
    """Share of the images `held` that `network`, which must be in evaluation mode, classifies correctly."""
    assert not network.training
    logits = in_pieces(lambda piece: network(piece.float() / 255), held.images)
    return float((logits.argmax(-1) == held.labels).double().mean())


def shifted(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Images [B, C, H, W], each shifted at random by whole pixels, up to `share` of height and width, padded with
    zeros."""
    batch, _, height, width = images.shape
    down, right = round(share * height), round(share * width)
    if not down and not right:
        return images
    padded = F.pad(images, (right, right, down, down))
    top = torch.randint(2 * down + 1, (batch, 1), generator=generator)
    left = torch.randint(2 * right + 1, (batch, 1), generator=generator)
    rows, columns = top + torch.arange(height), left + torch.arange(width)
    each, device = torch.arange(batch, device=images.device), images.device
    # [B, H, W, C] → [B, C, H, W]: dimensions of advanced indices with a slice between them come first.
    moved = padded[each[:, None, None], :, rows.to(device)[:, :, None], columns.to(device)[:, None, :]]
    return moved.permute(0, 3, 1, 2).contiguous()


def _epoch(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Row indices of full minibatches in a random order; the remaining rows are skipped in this epoch."""
    order = torch.randperm(count, generator=generator)
    for start in range(0, count - batch + 1, batch):
        yield order[start : start + batch]
