"""Units of a text's likelihood."""

from jaxtyping import Float
from torch import Tensor


def perplexity(log_prob: Float[Tensor, "*batch"], tokens: int) -> Float[Tensor, "*batch"]:
    """exp(-log p / n) of a text of n tokens, the number of equally probable tokens that is as hard to predict. Jelinek
    et al. 1977, Perplexity: a measure of the difficulty of speech recognition tasks.

    `log_prob`: log-probability of the whole text, nats."""
    return (-log_prob / tokens).exp()
