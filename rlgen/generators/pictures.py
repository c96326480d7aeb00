"""What a model shows of itself: samples, reconstructions, walks between latents and along single numbers of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from rlgen.generators.image_model import Coded, Decodes, ImageModel, Reconstructs, Traverses

ROWS, COLUMNS = 8, 10


class Grid(NamedTuple):
    """Images [N, C, H, W] in [0, 1] to be shown row by row."""

    images: Tensor
    columns: int


@contextmanager
def own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Within the block torch draws from `seed`; afterwards it goes on as if nothing had been drawn."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def sample_grid(model: ImageModel, seed: int, device: torch.device) -> Grid:
    """Samples; where there are classes, each class has a column."""
    columns = model.shape.n_classes if model.conditional else COLUMNS
    labels = torch.arange(ROWS * columns, device=device) % columns if model.conditional else None
    with own_randomness(seed, device):
        return Grid(model.sample(ROWS * columns, labels), columns)


def reconstruction_grid(model: Reconstructs, images: Tensor, seed: int) -> Grid:
    """Pairs of rows: images [B, C, H, W], and under each what the model makes of it."""
    shown = images[: ROWS // 2 * COLUMNS]
    with own_randomness(seed, images.device):
        made = model.reconstruct(shown)
    columns = min(COLUMNS, len(shown))
    rows = [row for pair in zip(shown.split(columns), made.split(columns), strict=True) for row in pair]
    return Grid(torch.cat(rows[: 2 * (len(shown) // columns)]), columns)


def interpolation_grid(model: Decodes, seed: int, device: torch.device) -> Grid:
    """In every row the images between two latents of the prior."""
    with own_randomness(seed, device):
        begin, end = model.prior(ROWS), model.prior(ROWS)
        share = torch.linspace(0, 1, COLUMNS, device=device)
        path = between(begin.unsqueeze(1), end.unsqueeze(1), share[:, None])
        return Grid(model.decode(path.flatten(0, 1)), COLUMNS)


def code_grid(model: Coded, seed: int, device: torch.device) -> Grid:
    """In every row the same latent but for the category, each of which has a column."""
    with own_randomness(seed, device):
        return Grid(model.traverse(ROWS), model.n_codes)


def traversal_grid(model: Traverses, images: Tensor, seed: int) -> Grid:
    """In every row one number of a latent from end to end."""
    with own_randomness(seed, images.device):
        return Grid(model.traversals(images, ROWS, COLUMNS), COLUMNS)


def between(begin: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """The great circle from `begin` to `end` [..., Z], `share` [..., 1] of the way (Shoemake 1985; for latents White
    2016, 1609.04468): a straight line would pass through lengths that a Gaussian prior in many dimensions never has."""
    cosine = (begin * end).sum(-1, keepdim=True) / (begin.norm(dim=-1, keepdim=True) * end.norm(dim=-1, keepdim=True))
    angle = cosine.clamp(-1, 1).acos()
    curved = (torch.sin((1 - share) * angle) * begin + torch.sin(share * angle) * end) / angle.sin()
    return torch.where(angle.sin() < 1e-4, torch.lerp(begin, end, share), curved)  # parallel: there is no circle


def grids(model: ImageModel, images: Tensor, seed: int) -> dict[str, Grid]:
    """Everything the model can show, by name. `images` [B, C, H, W]: what it reconstructs."""
    found = {"samples": sample_grid(model, seed, images.device)}
    if isinstance(model, Reconstructs):
        found["reconstructions"] = reconstruction_grid(model, images, seed)
    if isinstance(model, Decodes) and not model.conditional:
        found["interpolation"] = interpolation_grid(model, seed, images.device)
    if isinstance(model, Coded):
        found["codes"] = code_grid(model, seed, images.device)
    if isinstance(model, Traverses):
        found["traversals"] = traversal_grid(model, images, seed)
    return {name: grid for name, grid in found.items() if len(grid.images)}
