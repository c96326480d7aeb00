"""Words that are hidden for a model to predict."""

from jaxtyping import Bool, Float, Int
from torch import Tensor


def masked_words(
    words: Int[Tensor, "*batch"],
    draws: Float[Tensor, "*batch"],
    others: Int[Tensor, "*batch"],
    mask: int,
    share: float,
) -> tuple[Int[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
    """Words as a model sees them, and which of them it has to predict: a `share`, of which 80 % are replaced by `mask`,
    10 % by another word and 10 % stay. Devlin et al. 2019 (1810.04805), section 3.1.

    `draws`: uniform in [0, 1). `others`: random words.

    Differs from the paper: each word is chosen by itself, so the share of a sentence varies."""
    chosen = draws < share
    seen = words.masked_fill(draws < 0.8 * share, mask)
    return seen.where((draws < 0.8 * share) | (draws >= 0.9 * share), others), chosen
