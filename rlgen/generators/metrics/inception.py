"""Extractors of features and class probabilities: the protocol, Inception v3, and the inception score."""

import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Num
from torch import Tensor

from rlgen.errors import problem


@runtime_checkable
class Extractor(Protocol):
    """Source of the features and class probabilities that metrics compare.

    Metrics of different extractors are not comparable, so results record `name` and `hash`.
    """

    name: str
    """Readable name, e.g. "classifier of mnist"."""

    hash: str
    """sha256 of its weights."""

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """Features [n, f] of images in [0, 1], without gradient."""
        ...

    def probs(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Class probabilities [n, k] of images in [0, 1]; rows sum to 1."""
        ...


def in_pieces(
    function: Callable[[Tensor], Tensor], images: Num[Tensor, "n c h w"], size: int = 500
) -> Float[Tensor, "n f"]:
    """`function` of all images, without gradient, computed for `size` images at a time."""
    if not len(images):
        raise problem("at least one image to measure", "none", "generate some first")
    with torch.no_grad():
        return torch.cat([function(piece) for piece in images.split(size)])


WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""File of weights, converted from TensorFlow and published by torch-fidelity with version 0.2.0."""
PIECE = 50
"""Images of 299 × 299 processed at a time."""


def require_inception(weights: Path | None = None) -> tuple[ModuleType, Path]:
    """The module of torch-fidelity and the path of the weights, which are not loaded.

    Raises:
        InputError: the package or the weights are missing.
    """
    path = weights or Path(torch.hub.get_dir()) / "checkpoints" / WEIGHTS
    try:
        # By name, because it is not a dependency of this library, not even of an extra.
        module = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    except ImportError as error:
        raise problem(
            "the package torch-fidelity, which contains Inception's network",
            "none",
            "pip install torch-fidelity, or measure with a classifier of the same images",
        ) from error
    if not path.is_file():
        raise problem(
            f"Inception's weights at {path}",
            "no file",
            f"download {WEIGHTS} from torch-fidelity's release v0.2.0, or measure with a classifier of the images",
        )
    return module, path


class InceptionExtractor:
    """An `Extractor` with the 2048 pooled features and 1008 class probabilities of torch-fidelity's Inception.

    Nothing is downloaded. Images of any size are resized to 299 × 299 as in TensorFlow 1; grey images are repeated to
    three channels. Probabilities are computed without the last layer's bias, as in the Inception score of Salimans et
    al. 2016 (1606.03498).
    """

    def __init__(self, weights: Path | None = None, device: str | torch.device = "cpu"):
        module, path = require_inception(weights)
        self.name = "Inception v3 (torch-fidelity)"
        with path.open("rb") as file:
            self.hash = hashlib.file_digest(file, "sha256").hexdigest()
        wanted = ["2048", "logits_unbiased"]
        network = module.FeatureExtractorInceptionV3(
            "inception-v3-compat", wanted, feature_extractor_weights_path=str(path)
        )
        self.network, self.device = network.eval().to(device), torch.device(device)

    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        return in_pieces(lambda piece: self.network(self._bytes(piece))[0], images, PIECE)

    def probs(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        return in_pieces(lambda piece: self.network(self._bytes(piece))[1].softmax(-1), images, PIECE)

    def _bytes(self, images: Tensor) -> Tensor:
        """Images in [0, 1] as uint8 [B, 3, H, W]."""
        if images.shape[1] not in (1, 3):
            raise problem("images of 1 or 3 channels", f"{images.shape[1]}", "use another extractor")
        return (images.to(self.device).expand(-1, 3, -1, -1) * 255).round().to(torch.uint8)


class InceptionScore(NamedTuple):
    mean: Float[Tensor, ""]
    """Mean over the splits; from 1 to the number of classes."""
    std: Float[Tensor, ""]
    """Population standard deviation over the splits; 0 with one split."""


def inception_score(probs: Float[Tensor, "n k"], splits: int = 1) -> InceptionScore:
    """exp of the mean KL[p(y|x) ‖ p(y)] over images, in each of `splits` groups of consecutive images. Salimans et al.
    2016 (1606.03498), section 4; the paper's 8.09 on CIFAR-10 is for 50,000 images in 10 splits.

    Smaller splits score lower. Shuffle images that are sorted by class before calling this.
    """
    if not 1 <= splits <= len(probs):
        raise problem(f"1 to {len(probs)} splits of {len(probs)} images", f"{splits}", "measure more images")
    scores = torch.stack([_score(piece) for piece in probs.double().tensor_split(splits)])
    return InceptionScore(scores.mean(), scores.std(correction=0))


def _score(probs: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    marginal = probs.mean(0, keepdim=True)
    # xlogy(0, 0) is 0: a class of probability 0 contributes nothing.
    return (torch.xlogy(probs, probs) - torch.xlogy(probs, marginal)).sum(1).mean().exp()
