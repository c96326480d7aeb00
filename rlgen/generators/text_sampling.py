"""Samples of a language model."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rlgen.checks import at_least
from rlgen.generators.language_model import LanguageModel, window_start
from rlgen.nn.past import Past


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn from a language model's distribution."""

    temperature: float = 1.0
    """Divisor of the logits: below 1 probable tokens become more probable; 0 takes the most probable token."""
    top_k: int | None = None
    """Number of most probable tokens that one is drawn from; by default all (Fan et al. 2018, 1805.04833)."""

    def __post_init__(self) -> None:
        at_least(self, 0, "temperature")
        at_least(self, 1, "top_k")

    def draw(self, logits: Float[Tensor, "B V"]) -> Int[Tensor, " B"]:
        """One token for each row of logits."""
        if self.temperature == 0:
            return logits.argmax(-1)
        if self.top_k is not None and self.top_k < logits.shape[-1]:
            least = logits.topk(self.top_k).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        return (logits / self.temperature).softmax(-1).multinomial(1)[:, 0]


@torch.inference_mode()
def sample_tokens(
    model: LanguageModel,
    n: int,
    length: int,
    prompt: Int[Tensor, " P"] | None = None,
    sampling: Sampling | None = None,
    cached: bool = True,
) -> Int[Tensor, "n L"]:
    """`n` continuations of `prompt` by `length` tokens each; without a prompt they start a text.

    `cached`: keep keys and values, or an LSTM's state, of earlier tokens; otherwise each token is predicted by reading
    all of its window again, for tests. A Transformer's window restarts when it is full (`window_start`).
    """
    sampling = sampling or Sampling()
    device = model.embedding.weight.device
    given = torch.empty(0, dtype=torch.int64) if prompt is None else prompt
    tokens = given.to(device).expand(n, -1)
    past, first = Past(), 0
    for _ in range(length):
        start = window_start(tokens.shape[1], model.limit)
        if start != first or not cached:
            past, first = Past(), start
        window = model.started(tokens[:, first:])
        logits = model.logits(window[:, past.length :], past)[:, -1]
        tokens = torch.cat([tokens, sampling.draw(logits)[:, None]], 1)
    return tokens[:, len(given) :]
