"""The likelihood of a text under a language model, in the units that papers use."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rlgen.equations.text_likelihood import perplexity
from rlgen.equations.variational_bounds import bits_per_dimension
from rlgen.errors import problem
from rlgen.generators.language_model import LanguageModel

AT_ONCE = 32
"""Windows whose likelihood is computed at a time."""


def text_log_prob(
    model: LanguageModel, tokens: Int[Tensor, " N"], window: int, stride: int, at_once: int = AT_ONCE
) -> Float[Tensor, " N"]:
    """log p of each token of a text, nats, float64, given those before it in its window of at most `window` tokens.

    Windows start at multiples of `stride`, and each scores its last `stride` tokens, the first one all. With a stride
    of half a window every token but the first ones is predicted from at least half a window; with a stride of a whole
    window, in blocks, from half a window on average, at about half the cost.
    """
    if not len(tokens) or not 1 <= stride <= window:
        got = f"{len(tokens)} tokens, a stride of {stride} and a window of {window}"
        raise problem("a text, and a stride of at least 1 and at most the window", got, "use e.g. half the window")
    found = []
    full = tokens.unfold(0, window, stride) if len(tokens) >= window else tokens.new_empty(0, window)
    for number, some in enumerate(full.split(at_once)):
        scored = model.log_prob(some).double()
        found += [scored[:1, : window - stride].flatten()] if number == 0 else []
        found.append(scored[:, window - stride :].flatten())
    done = sum(map(len, found))
    if done < len(tokens):
        first = len(full) * stride
        found.append(model.log_prob(tokens[None, first:])[0, done - first :].double())
    return torch.cat(found)


class TextLikelihood(NamedTuple):
    """The likelihood of a text of so many tokens and characters. One converter for all units."""

    log_prob: float
    """log p of the text, nats."""
    tokens: int
    characters: int
    """Number of Unicode code points."""
    standard_error: float
    """Standard error of `log_prob`, nats."""

    @classmethod
    def of(cls, log_prob: Float[Tensor, " N"], characters: int, block: int) -> "TextLikelihood":
        """Of the log-probabilities of a text's tokens. The standard error is over blocks of as many tokens, because
        neighboring tokens depend on each other; NaN for fewer than two blocks."""
        sums = log_prob[: len(log_prob) // block * block].view(-1, block).sum(1)
        error = float(sums.std()) * math.sqrt(len(log_prob) / block) if len(sums) > 1 else math.nan
        return cls(float(log_prob.sum()), len(log_prob), characters, error)

    def units(self) -> dict[str, float]:
        """`nll_per_token` and `nll_per_character` in nats, `bits_per_character`, and `perplexity` per token, the first
        two with their standard errors."""
        total = torch.tensor(self.log_prob, dtype=torch.float64)
        return {
            "nll_per_token": -self.log_prob / self.tokens,
            "nll_per_token_standard_error": self.standard_error / self.tokens,
            "nll_per_character": -self.log_prob / self.characters,
            "nll_per_character_standard_error": self.standard_error / self.characters,
            "bits_per_character": bits_per_dimension(total, self.characters).item(),
            "perplexity": perplexity(total, self.tokens).item(),
        }
