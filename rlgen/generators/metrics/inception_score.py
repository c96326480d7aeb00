"""Inception score: sure of each image, and all classes among them."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.errors import problem


class InceptionScore(NamedTuple):
    mean: Float[Tensor, ""]
    """Over the splits; from 1 to the number of classes."""
    std: Float[Tensor, ""]
    """Over the splits, of the population; 0 with one."""


def inception_score(probs: Float[Tensor, "n k"], splits: int = 1) -> InceptionScore:
    """exp of the mean KL[p(y|x) ‖ p(y)] over images, in each of `splits` runs of consecutive images. Salimans et al.
    2016 (1606.03498), section 4; the paper's 8.09 on CIFAR-10 is of 50,000 images in 10 splits.

    Smaller splits score lower. Images that come sorted by class must be shuffled before they are split.
    """
    if not 1 <= splits <= len(probs):
        raise problem(f"1 to {len(probs)} splits of {len(probs)} images", f"{splits}", "measure more images")
    scores = torch.stack([_score(piece) for piece in probs.double().tensor_split(splits)])
    return InceptionScore(scores.mean(), scores.std(correction=0))


def _score(probs: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    marginal = probs.mean(0, keepdim=True)
    # xlogy(0, 0) is 0: a class that has no probability costs nothing.
    return (torch.xlogy(probs, probs) - torch.xlogy(probs, marginal)).sum(1).mean().exp()
