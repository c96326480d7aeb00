"""Latents of which one number after another goes from end to end of its prior, while the others stay."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

FARTHEST = 3.0
"""Deviations of a normal prior at the ends."""
DRAWN = 16
"""Latents of each image that its expected latent is estimated by."""


def activity(latents: Float[Tensor, "S B Z"]) -> Float[Tensor, " Z"]:
    """Variance over images of each latent number's expectation, from S > 1 draws for each of B images. Burda et al.
    2016 (1509.00519), section 5: an inactive number, which the posterior leaves to the prior, has 0 on average, because
    what the draws' own variance adds is taken away again."""
    samples, images, _ = latents.shape
    return latents.mean(0).var(0, correction=0) - latents.var(0).mean(0) * (1 - 1 / images) / samples


def traversal(
    start: Float[Tensor, " Z"], numbers: Int[Tensor, " R"], columns: int, farthest: float = FARTHEST
) -> Float[Tensor, "R_columns Z"]:
    """`start` over and over, in row r with -`farthest` to `farthest` in place of number `numbers[r]`."""
    rows = start.repeat(len(numbers), columns, 1)
    steps = torch.linspace(-farthest, farthest, columns, dtype=start.dtype, device=start.device)
    rows[torch.arange(len(numbers), device=start.device), :, numbers] = steps
    return rows.flatten(0, 1)


def active_traversal(latents: Float[Tensor, "S B Z"], rows: int, columns: int) -> Float[Tensor, "R_columns Z"]:
    """Of the most active numbers, as many as `rows` if there are so many, around the first image's latent."""
    active = activity(latents).argsort(descending=True)[:rows]
    return traversal(latents[:, 0].mean(0), active, columns)
