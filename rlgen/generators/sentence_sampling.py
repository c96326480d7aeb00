"""Sentences that a sentence VAE's decoder writes for given latents."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rlgen.generators.sentence_vae import SentenceVAE
from rlgen.generators.text_sampling import Sampling
from rlgen.nn.padding import PADDING

GREEDY = Sampling(temperature=0)
"""The most probable token each time."""


@torch.inference_mode()
def sample_sentences(
    model: SentenceVAE,
    latents: Float[Tensor, "B Z"],
    length: int | None = None,
    prompt: Int[Tensor, " P"] | None = None,
    sampling: Sampling = GREEDY,
    cached: bool = True,
) -> Int[Tensor, "B T"]:
    """One sentence for each latent, `PADDING` after its end. Each begins with `prompt` and stops at its end or after
    `length` more tokens, by default when it has as many as the context.

    `cached`: keep keys and values of earlier tokens; otherwise each token is predicted by reading the sentence again,
    for tests.
    """
    rows, device = len(latents), latents.device
    given = torch.empty(0, dtype=torch.int64) if prompt is None else prompt
    tokens = given.to(device).expand(rows, -1)
    past = model.past_of(latents)
    done = torch.zeros(rows, dtype=torch.bool, device=device)
    room = model.config.context - len(given)
    for _ in range(room if length is None else min(length, room)):
        logits = model.logits(
            model.started(tokens)[:, past.length :], latents, past if cached else model.past_of(latents)
        )
        drawn = sampling.draw(logits[:, -1])
        done |= drawn == model.end
        tokens = torch.cat([tokens, drawn.masked_fill(done, PADDING)[:, None]], 1)
        if bool(done.all()):
            break
    return tokens
