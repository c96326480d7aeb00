"""Image grids of a model: samples, reconstructions, interpolations and latent traversals."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rlgen.generators.boxes import enlarged, outlined
from rlgen.generators.image_model import (
    Attackable,
    ClassDecoder,
    Completes,
    Decoder,
    DrawsInSteps,
    FindsObjects,
    ImageModel,
    InfersCategory,
    Reconstructs,
    Samples,
    Translates,
    Traverses,
)
from rlgen.system.rng import own_randomness

FARTHEST = 3.0
"""Standard deviations of a normal prior at the ends of a traversal."""
DRAWN = 16
"""Number of latents per image from which its expected latent is estimated."""


def activity(latents: Float[Tensor, "S B Z"]) -> Float[Tensor, " Z"]:
    """Variance over images of the posterior mean of each latent dimension, from S > 1 draws for each of B images. Burda
    et al. 2016 (1509.00519), section 5.

    The estimate is unbiased, because the variance that the draws add is subtracted. It is 0 on average for an inactive
    dimension, whose posterior equals the prior.
    """
    samples, images, _ = latents.shape
    return latents.mean(0).var(0, correction=0) - latents.var(0).mean(0) * (1 - 1 / images) / samples


def traversal(
    start: Float[Tensor, " Z"], numbers: Int[Tensor, " R"], columns: int, farthest: float = FARTHEST
) -> Float[Tensor, "R_columns Z"]:
    """Copies of `start`; in row r the dimension `numbers[r]` takes values from -`farthest` to `farthest`."""
    rows = start.repeat(len(numbers), columns, 1)
    steps = torch.linspace(-farthest, farthest, columns, dtype=start.dtype, device=start.device)
    rows[torch.arange(len(numbers), device=start.device), :, numbers] = steps
    return rows.flatten(0, 1)


def active_traversal(latents: Float[Tensor, "S B Z"], rows: int, columns: int) -> Float[Tensor, "R_columns Z"]:
    """Traversal of the most active dimensions, at most `rows`, around the mean latent of the first image."""
    active = activity(latents).argsort(descending=True)[:rows]
    return traversal(latents[:, 0].mean(0), active, columns)


ROWS, COLUMNS = 8, 10
CAPTIONS = {
    "samples": "Samples, not chosen",
    "reconstructions": "Test images, and under each what the model makes of it",
    "completions": "In each row a test image, its upper half, and eight completions of it",
    "objects": "Test images with a frame around each object that the model finds: first red, then green, then blue",
    "translations": "Images of one domain, and under each its translation to the other",
    "interpolation": "From left to right, between two latents",
    "traversals": "In each row one number of a latent changes, from end to end",
    "classes": "In each row the same latent, in each column another class",
    "codes": "In each row the same noise, in each column the same code",
    "stages": "In each row one sample, from left to right after more of its steps",
    "attacked": "Test images, and under each what FGSM makes of it against the class that the model takes it for",
}
"""Captions in reports of the pictures of `grids`."""


class Grid(NamedTuple):
    """Images [N, C, H, W] in [0, 1], arranged row by row."""

    images: Tensor
    columns: int


def sample_grid(model: ImageModel, seed: int, device: torch.device) -> Grid:
    """Samples of a model that `Samples`; one column per class for a conditional model."""
    assert isinstance(model, Samples)
    columns = model.shape.n_classes if model.conditional else COLUMNS
    labels = torch.arange(ROWS * columns, device=device) % columns if model.conditional else None
    with own_randomness(seed, device):
        return Grid(model.sample(ROWS * columns, labels), columns)


def reconstruction_grid(model: Reconstructs, images: Tensor, seed: int) -> Grid:
    """Pairs of rows: images [B, C, H, W], with their reconstructions below."""
    shown = images[: ROWS // 2 * COLUMNS]
    with own_randomness(seed, images.device):
        return paired_rows(shown, model.reconstruct(shown))


def attack_grid(model: Attackable, images: Tensor, seed: int) -> Grid:
    """Pairs of rows: images [B, C, H, W], with the same ones attacked below."""
    shown = images[: ROWS // 2 * COLUMNS]
    with own_randomness(seed, images.device):
        return paired_rows(shown, model.attacked(shown, model.class_logits(shown).argmax(-1), "fgsm"))


def object_grid(model: FindsObjects, images: Tensor, seed: int) -> Grid:
    """Images [B, C, H, W] with frames around the objects that the model finds, and below them their reconstructions, if
    it has any; enlarged, so that frames are thin."""
    shown = images[: ROWS // 2 * COLUMNS]
    with own_randomness(seed, images.device):
        framed = outlined(shown, model.boxes(shown))
        if not isinstance(model, Reconstructs):
            return Grid(framed, COLUMNS)
        return paired_rows(framed, enlarged(model.reconstruct(shown)))


def translation_grid(model: Translates, seed: int, device: torch.device) -> Grid:
    """Pairs of rows: images of one domain, with their translations below."""
    with own_randomness(seed, device):
        return paired_rows(*model.translations(ROWS // 2 * COLUMNS))


def paired_rows(shown: Tensor, made: Tensor) -> Grid:
    """Pairs of rows: the images `shown` [B, C, H, W], with those `made` of them below."""
    columns = min(COLUMNS, len(shown))
    rows = [row for pair in zip(shown.split(columns), made.split(columns), strict=True) for row in pair]
    return Grid(torch.cat(rows[: 2 * (len(shown) // columns)]), columns)


def completion_grid(model: Completes, images: Tensor, seed: int) -> Grid:
    """In each row one of `images` [B, C, H, W], the same with a grey lower half, and completions of its upper half."""
    kept, times = images.shape[-2] // 2, COLUMNS - 2
    shown = images[:ROWS]
    halves = shown.clone()
    halves[..., kept:, :] = 0.5
    with own_randomness(seed, images.device):
        made = model.complete(shown.repeat_interleave(times, 0), kept)
    return Grid(torch.cat([shown[:, None], halves[:, None], made.unflatten(0, (-1, times))], 1).flatten(0, 1), COLUMNS)


def interpolation_grid(model: Decoder, seed: int, device: torch.device) -> Grid:
    """Interpolations, one per row, between two latents of the prior."""
    with own_randomness(seed, device):
        return Grid(model.decode(_ways(model, device)), COLUMNS)


def conditional_interpolation_grid(model: ClassDecoder, seed: int, device: torch.device) -> Grid:
    """Interpolations, one per row, between two latents of the prior; row k has class k, modulo the classes."""
    classes = torch.arange(ROWS, device=device) % model.shape.n_classes
    with own_randomness(seed, device):
        return Grid(model.decode(_ways(model, device), classes.repeat_interleave(COLUMNS)), COLUMNS)


def class_grid(model: ClassDecoder, seed: int, device: torch.device) -> Grid:
    """A grid with one latent per row and one class per column."""
    columns = model.shape.n_classes
    with own_randomness(seed, device):
        latents = model.prior(ROWS).repeat_interleave(columns, 0)
        return Grid(model.decode(latents, torch.arange(columns, device=device).repeat(ROWS)), columns)


def _ways(model: Decoder | ClassDecoder, device: torch.device) -> Tensor:
    """Latents [ROWS · COLUMNS, Z]: per row, interpolations between two latents of the prior."""
    begin, end = model.prior(ROWS), model.prior(ROWS)
    share = torch.linspace(0, 1, COLUMNS, device=device)[:, None]
    return model.between(begin.unsqueeze(1), end.unsqueeze(1), share).flatten(0, 1)


def code_grid(model: InfersCategory, seed: int, device: torch.device) -> Grid:
    """A grid with one latent per row, except for the category, and one category per column."""
    with own_randomness(seed, device):
        return Grid(model.traverse(ROWS), model.n_codes)


def traversal_grid(model: Traverses, images: Tensor, seed: int) -> Grid:
    """Traversals, each row of one latent dimension."""
    with own_randomness(seed, images.device):
        return Grid(model.traversals(images, ROWS, COLUMNS), COLUMNS)


def stage_grid(model: DrawsInSteps, seed: int, device: torch.device) -> Grid:
    """The stages of samples, one per row. Of more steps than columns, some are left out, never the last; a single step
    has no stages to show."""
    with own_randomness(seed, device):
        stages = model.stages(ROWS)
    columns = min(COLUMNS, len(stages))
    shown = torch.linspace(len(stages) / columns, len(stages), columns, device=device).long() - 1
    return Grid(stages[shown if columns > 1 else shown[:0]].transpose(0, 1).flatten(0, 1), columns)


def grids(model: ImageModel, images: Tensor, seed: int) -> dict[str, Grid]:
    """All grids that the model supports, by name. `images` [B, C, H, W]: inputs of reconstructions and traversals."""
    found: dict[str, Grid] = {}
    if isinstance(model, Samples):
        found["samples"] = sample_grid(model, seed, images.device)
    if isinstance(model, Reconstructs):
        found["reconstructions"] = reconstruction_grid(model, images, seed)
    if isinstance(model, FindsObjects):
        found["objects"] = object_grid(model, images, seed)
    if isinstance(model, Completes):
        found["completions"] = completion_grid(model, images, seed)
    if isinstance(model, Translates):
        found["translations"] = translation_grid(model, seed, images.device)
    if model.conditional and isinstance(model, ClassDecoder):
        found["classes"] = class_grid(model, seed, images.device)
        found["interpolation"] = conditional_interpolation_grid(model, seed, images.device)
    elif isinstance(model, Decoder):
        found["interpolation"] = interpolation_grid(model, seed, images.device)
    if isinstance(model, InfersCategory):
        found["codes"] = code_grid(model, seed, images.device)
    if isinstance(model, Traverses):
        found["traversals"] = traversal_grid(model, images, seed)
    if isinstance(model, DrawsInSteps):
        found["stages"] = stage_grid(model, seed, images.device)
    if isinstance(model, Attackable):
        found["attacked"] = attack_grid(model, images, seed)
    return {name: grid for name, grid in found.items() if len(grid.images)}
