"""All metrics that require only real images, generated images and an extractor, as one flat table."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rlgen.errors import problem
from rlgen.generators.metrics.distances import frechet_inception_distance, kernel_inception_distance
from rlgen.generators.metrics.inception import Extractor, inception_score
from rlgen.generators.metrics.manifold import density_coverage, precision_recall
from rlgen.generators.metrics.modes import accuracy, mode_coverage

NEIGHBOURS = 10_000
"""Maximum number of images on either side for precision, recall, density and coverage, whose time is quadratic."""


def image_scores(
    real: Float[Tensor, "n c h w"],
    fake: Float[Tensor, "m c h w"],
    extractor: Extractor,
    fake_labels: Int64[Tensor, " m"] | None = None,
    neighbors: int = NEIGHBOURS,
) -> dict[str, float | str]:
    """Scores of the generated images `fake`, with the settings that they depend on.

    Use real images of the test split, so that the scores also show a generator that has memorized its training images.
    All scores depend on the number of images. Compare only rows with equal `n_real` and `n_fake` (for precision,
    recall, density and coverage: equal `n_neighbors_…`) and the same `extractor_hash`.

    Args:
        real: images in [0, 1].
        fake: generated images in [0, 1], in random order.
        extractor: source of the features and class probabilities.
        fake_labels: the classes that the generated images were conditioned on, if any; adds `conditional_accuracy`.
        neighbors: number of images of either side, the first ones, for precision, recall, density and coverage.

    Returns:
        fid, kid, inception_score, inception_score_std (10 splits), inception_score_real, precision, recall, density,
        coverage, modes_hit, modes_kl (nats to uniform), n_real, n_fake, n_neighbors_real, n_neighbors_fake,
        extractor, extractor_hash.

    Raises:
        InputError: images outside [0, 1] or not finite, too few of them, labels that do not fit.
    """
    for name, images in (("real", real), ("generated", fake)):
        _check(name, images)
    real_features, fake_features = extractor.features(real), extractor.features(fake)
    fake_probs = extractor.probs(fake)
    score = inception_score(fake_probs, splits=min(10, len(fake)))
    near_real, near_fake = real_features[:neighbors], fake_features[:neighbors]
    manifold, covered = precision_recall(near_real, near_fake), density_coverage(near_real, near_fake)
    modes = mode_coverage(fake_probs.argmax(-1), fake_probs.shape[1])
    table: dict[str, float | str] = {
        "fid": float(frechet_inception_distance(real_features, fake_features)),
        "kid": float(kernel_inception_distance(real_features, fake_features)),
        "inception_score": float(score.mean),
        "inception_score_std": float(score.std),
        "inception_score_real": float(inception_score(extractor.probs(real), splits=min(10, len(real))).mean),
        "precision": float(manifold.precision),
        "recall": float(manifold.recall),
        "density": float(covered.density),
        "coverage": float(covered.coverage),
        "modes_hit": float(modes.hit),
        "modes_kl": modes.kl,
        "n_real": float(len(real)),
        "n_fake": float(len(fake)),
        "n_neighbours_real": float(len(near_real)),
        "n_neighbours_fake": float(len(near_fake)),
        "extractor": extractor.name,
        "extractor_hash": extractor.hash,
    }
    if fake_labels is not None:
        table["conditional_accuracy"] = accuracy(fake_probs, fake_labels.to(fake_probs.device))
    return table


def _check(name: str, images: Float[Tensor, "n c h w"]) -> None:
    if not len(images):
        raise problem(f"{name} images", "none", "measure at least some hundreds")
    low, high = (float(value) for value in torch.aminmax(images))
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise problem(f"{name} images in [0, 1]", f"{low:g} to {high:g}", "scale them to [0, 1], as `sample` does")
