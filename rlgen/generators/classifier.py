"""A small convolutional classifier: the feature extractor for images without a public network, such as digits."""

import hashlib
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from rlgen.checks import at_least, positive
from rlgen.errors import problem
from rlgen.generators.metrics.inception import in_pieces

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
