"""Training of the classifier: cross-entropy, a one-cycle learning rate, randomly shifted images."""

import logging
import math
from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import problem
from rlgen.generators.classifier import Classifier, ClassifierConfig
from rlgen.generators.metrics.inception import in_pieces

log = logging.getLogger("rlgen")


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


class TrainingDiverged(RuntimeError):
    """The loss is not finite."""


def train_classifier(train: LabeledImages, config: ClassifierConfig, seed: int = 0) -> Classifier:
    """Train a classifier on the images `train`, on their device.

    On a CPU with one thread the same seed gives the same weights. Torch's global generator and its number of threads do
    not change.

    Raises:
        InputError: fewer images than a minibatch.
        TrainingDiverged: the loss is not finite at the end of an epoch.
    """
    if len(train.images) < config.batch:
        raise problem(f"at least one minibatch of {config.batch} images", f"{len(train.images)}", "lower `batch`")
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
            raise TrainingDiverged(f"the classifier's loss is {mean} in epoch {epoch + 1}: lower learning_rate")
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
        raise TrainingDiverged(f"the classifier's features have the size {size}: lower learning_rate")
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
