"""How well the latents of an image model predict the factors that it varies, and how little they say about others."""

import torch
from torch import Tensor
from torch.nn import functional as F

from rlgen.data.images import ImageSet
from rlgen.display import Metric, Panel
from rlgen.generators.image_model import ImageModel, VariesFactors
from rlgen.generators.metrics.disentanglement import linear_r2
from rlgen.system.rng import own_randomness

SEED = 50_000
PIECE = 500
"""Images processed at a time."""
PANELS = (
    Panel(
        "Factor predicted by its latent on test images [R²]",
        (Metric("evaluation/rotation_r2", "rotation"), Metric("evaluation/light_r2", "light")),
        limits=(0, 1),
    ),
    Panel(
        "Factor predicted by the other factor's latent [R²]",
        (
            Metric("evaluation/rotation_from_light_r2", "rotation"),
            Metric("evaluation/light_from_rotation_r2", "light"),
        ),
        drawn=False,
    ),
    Panel(
        "Classes predicted by a factor's latent [R²]",
        (Metric("evaluation/class_from_rotation_r2", "rotation"), Metric("evaluation/class_from_light_r2", "light")),
        drawn=False,
    ),
    Panel(
        "Factor predicted by the intrinsic latents [R²]",
        (
            Metric("evaluation/rotation_from_intrinsic_r2", "rotation"),
            Metric("evaluation/light_from_intrinsic_r2", "light"),
        ),
        drawn=False,
    ),
)
"""Panels of the metrics of evaluations during the training."""
RESULTS = (
    Metric("rotation_r2", "rotation by its latent", "R²"),
    Metric("light_r2", "light by its latent", "R²"),
    Metric("light_from_rotation_r2", "light by the rotation's", "R²"),
    Metric("rotation_from_light_r2", "rotation by the light's", "R²"),
    Metric("class_from_rotation_r2", "classes by the rotation's", "R²"),
    Metric("class_from_light_r2", "classes by the light's", "R²"),
    Metric("rotation_from_intrinsic_r2", "rotation by intrinsic latents", "R²"),
    Metric("light_from_intrinsic_r2", "light by intrinsic latents", "R²"),
)
"""Metrics of the finished model that reports show first."""


def factor_r2(model: ImageModel, train: ImageSet, test: ImageSet, most: int) -> dict[str, float]:
    """R² of linear regressions from latents, fitted to at most `most` training images with random values of the
    factors, on as many test images.

    `rotation_r2`: of a factor from its own latent. `light_from_rotation_r2`: of another factor from that latent, and
    `class_from_rotation_r2` of the classes (one number each), both near 0 for a latent of this factor alone.
    `rotation_from_intrinsic_r2`: of the factor from all latents of no factor. Empty for models without factors.
    """
    if not isinstance(model, VariesFactors):
        return {}
    with own_randomness(SEED, test.images.device):
        seen = [_seen(model, images.some(most)) for images in (train, test)]
    (latents, values, classes), (test_latents, test_values, test_classes) = seen

    def r2(columns: slice, targets: Tensor, test_targets: Tensor) -> float:
        return linear_r2(latents[:, columns], targets, test_latents[:, columns], test_targets)

    found: dict[str, float] = {}
    for number, name in enumerate(model.factors):
        own = slice(number, number + 1)
        for other, other_name in enumerate(model.factors):
            column = slice(other, other + 1)
            key = f"{name}_r2" if other == number else f"{other_name}_from_{name}_r2"
            found[key] = r2(own, values[:, column], test_values[:, column])
        if train.n_classes > 1:
            found[f"class_from_{name}_r2"] = r2(own, classes, test_classes)
        intrinsic = slice(len(model.factors), None)
        found[f"{name}_from_intrinsic_r2"] = r2(intrinsic, values[:, own], test_values[:, own])
    return found


def _seen(model: VariesFactors, images: ImageSet) -> tuple[Tensor, Tensor, Tensor]:
    """Latents [n, Z] of images rendered with values [n, F] of the factors, and one number for each class [n, K]."""
    values = model.factor_values(len(images))
    pieces = zip(images.in_order(PIECE), values.split(PIECE), strict=True)
    latents = [model.encode(model.render(piece, some)).float() for (piece, _), some in pieces]
    return torch.cat(latents), values, F.one_hot(images.labels, images.n_classes).float()
