"""Variety of generated images, and the signs that a model's samples have collapsed to a few images."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from rlgen.errors import problem
from rlgen.generators.metrics.classes import mode_coverage
from rlgen.generators.metrics.inception import Extractor
from rlgen.generators.metrics.scores import precision_recall

LEAST_STD = 0.5
"""Relative standard deviation below which samples are nearly equal. Of the runs of experiments/image_models, healthy
ones have 0.85 or more, black images 0."""
LEAST_RECALL = 0.2
"""Recall below which samples have collapsed: between the healthy runs of experiments/image_models, 0.44 or more, and
the collapsed ones, 0.11 or less. Test images themselves have 0.35 of one another in hundreds, 0.7 in thousands."""
LEAST_CLASSES = 0.5
"""Share of the test images' classes below which samples show too few."""
ROUNDING = 1e-20
"""Variance below which pixels are equal but for rounding."""
FEWEST = 100
"""Fewest samples, and test images, that are evaluated."""
MORE_RECALL, MORE_STD = 0.01, 0.02
"""Rises from one evaluation to the next that are progress, more than what the same model has by chance."""


def relative_std(real: Float[Tensor, "n c h w"], fake: Float[Tensor, "m c h w"]) -> float | None:
    """Root of the pixels' mean variance over the generated images, as a fraction of that over the real ones: 0 where
    all images are equal, about 1 for equal distributions. Needs no classifier. None where all real images are equal."""
    ours, theirs = (images.double().var(0, correction=0).mean() for images in (fake, real))
    return None if theirs < ROUNDING else float((ours / theirs).sqrt())


def pixel_variety(real: Float[Tensor, "n c h w"], fake: Float[Tensor, "m c h w"]) -> dict[str, float]:
    """`relative_std` where there is one."""
    found = relative_std(real, fake)
    return {} if found is None else {"relative_std": found}


def variety(
    real: Float[Tensor, "n c h w"], fake: Float[Tensor, "m c h w"], extractor: Extractor | None
) -> dict[str, float]:
    """`relative_std`, and with an extractor `precision`, `recall`, `modes_hit` and `modes_hit_real`, of generated
    images and as many real ones."""
    found = pixel_variety(real, fake)
    if extractor is None:
        return found
    overlap = precision_recall(extractor.features(real), extractor.features(fake))
    found |= {"precision": float(overlap.precision), "recall": float(overlap.recall)}
    probs = {"modes_hit": extractor.probs(fake), "modes_hit_real": extractor.probs(real)}
    return found | {name: float(mode_coverage(each.argmax(-1), each.shape[1]).hit) for name, each in probs.items()}


def collapse(found: Mapping[str, Any], remedy: str) -> str | None:
    """A warning of three parts if the numbers of `variety` show a collapse, otherwise None. `remedy`: the settings of
    the model to change."""
    signs, levels = [], []
    if found.get("relative_std", 1) < LEAST_STD:
        levels.append(f"a standard deviation of at least {LEAST_STD:g}")
        signs.append(f"pixels whose standard deviation is {found['relative_std']:.2f} of that of test images")
    if found.get("recall", 1) < LEAST_RECALL:
        levels.append(f"a recall of at least {LEAST_RECALL:.0%}")
        signs.append(f"a recall of {found['recall']:.1%}")
    if "modes_hit_real" in found and found["modes_hit"] < LEAST_CLASSES * found["modes_hit_real"]:
        levels.append(f"at least {LEAST_CLASSES:.0%} of the classes")
        signs.append(f"{found['modes_hit']:.0f} of {found['modes_hit_real']:.0f} classes")
    if not signs:
        return None
    return str(problem(f"samples as varied as the data ({_listed(levels)})", _listed(signs), remedy))


def progressed(before: Mapping[str, float], found: Mapping[str, float]) -> bool:
    """Whether samples are more varied than at the evaluation `before`: a model that still learns has not collapsed."""
    return (
        found.get("recall", 0) >= before.get("recall", 0) + MORE_RECALL
        or found.get("modes_hit", 0) > before.get("modes_hit", 0)
        or ("recall" not in found and found.get("relative_std", 0) >= before.get("relative_std", 0) + MORE_STD)
    )


def _listed(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
