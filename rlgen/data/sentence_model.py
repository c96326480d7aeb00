"""A sentence VAE with its tokenizer: sentences in, sentences out."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from rlgen.data.sentences import lines
from rlgen.data.tokenized_model import TokenizedModel
from rlgen.data.tokenizers import Tokenizer
from rlgen.errors import problem
from rlgen.generators.metrics.sentence_likelihood import SentenceLikelihood, sentence_log_prob
from rlgen.generators.sentence_sampling import GREEDY, sample_sentences
from rlgen.generators.sentence_vae import SentenceVAE
from rlgen.generators.text_sampling import Sampling
from rlgen.nn.padding import padded, without_padding
from rlgen.system.rng import own_randomness

AT_ONCE = 64
"""Sentences that are processed at a time."""
SEED = 30_000


@dataclass(frozen=True)
class SentenceModel(TokenizedModel[SentenceVAE]):
    """A sentence VAE of the tokens of a tokenizer."""

    def sample(
        self,
        n: int = 1,
        length: int | None = None,
        prompt: str = "",
        sampling: Sampling | None = None,
        seed: int | None = None,
    ) -> list[str]:
        """`n` sentences of latents from the prior. They begin with `prompt`, and stop at their end or after `length`
        more tokens. With a `seed` they are the same every time, and torch's generator is as before afterwards."""
        if n < 1 or (length is not None and length < 0):
            raise problem("at least one sample of 0 tokens or more", f"{n} of {length}", "correct these")
        (given,) = self.tokens([prompt])
        with nullcontext() if seed is None else own_randomness(seed, self.device):
            latents = torch.randn(n, self.model.config.latent, device=self.device)
            tokens = sample_sentences(self.model, latents, length, given, sampling or Sampling())
        return [self.tokenizer.decode(row) for row in without_padding(tokens)]

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> Float[Tensor, "B Z"]:
        """The mean of each sentence's posterior."""
        means = [
            self.model.posterior.mean_and_log_std(self.model.features(tokens))[0] for tokens in self.batches(sentences)
        ]
        return torch.cat(means)

    def decode(self, latents: Float[Tensor, "B Z"], sampling: Sampling = GREEDY) -> list[str]:
        """A sentence for each latent, by default of the most probable token each time."""
        tokens = sample_sentences(self.model, latents.to(self.device), sampling=sampling)
        return [self.tokenizer.decode(row) for row in without_padding(tokens)]

    def reconstruct(self, sentences: Sequence[str]) -> list[str]:
        """What the decoder writes for the mean of each sentence's posterior, the most probable token each time."""
        return self.decode(self.encode(sentences))

    def interpolate(self, first: str, last: str, steps: int = 5) -> list[str]:
        """Sentences of `steps` latents on the line between the posterior means of two sentences, these included. Bowman
        et al. 2016 (1511.06349), section 5.4."""
        if steps < 2:
            raise problem("at least 2 steps, the two sentences", str(steps), "use e.g. 5")
        start, end = self.encode([first, last])
        return self.decode(torch.lerp(start, end, torch.linspace(0, 1, steps, device=self.device)[:, None]))

    def analogy(self, first: str, second: str, third: str) -> str:
        """The fourth sentence, which is to the third as the second to the first: z₂ - z₁ + z₃ of posterior means. Li et
        al. 2020 (2004.04092), section 5.2."""
        one, two, three = self.encode([first, second, third])
        return self.decode((two - one + three)[None])[0]

    def likelihood(self, sentences: str | Sequence[str], samples: int = 20) -> SentenceLikelihood:
        """The importance-weighted bound on the likelihood of sentences, with so many latents for each; of the lines of
        a single text. One sample makes it the evidence lower bound. It is the same every time."""
        given = lines(sentences) if isinstance(sentences, str) else list(sentences)
        with own_randomness(SEED, self.device):
            log_prob = torch.cat(list(sentence_log_prob(self.model, self.batches(given), samples)))
        tokens = sum(len(self.tokenizer.encode(each)) + 1 for each in given)
        return SentenceLikelihood(log_prob, tokens, sum(len(each.split()) + 1 for each in given), samples)

    def tokens(self, sentences: Sequence[str]) -> list[Tensor]:
        """The tokens of each sentence. Raises `InputError` for one that is longer than the model's context."""
        return encoded(self.tokenizer, sentences, self.model.config.context)

    def batches(self, sentences: Sequence[str]) -> Iterator[Tensor]:
        """Padded tokens of the sentences in their order, some at a time."""
        if not sentences:
            raise problem("at least one sentence", "none", "give one or more")
        rows = self.tokens(sentences)
        for first in range(0, len(rows), AT_ONCE):
            yield padded(rows[first : first + AT_ONCE]).to(self.device)


def encoded(tokenizer: Tokenizer, sentences: Sequence[str], context: int) -> list[Tensor]:
    """The tokens of each sentence. Raises `InputError` if one has more than `context`."""
    rows = [tokenizer.encode(each) for each in sentences]
    longest = max(range(len(rows)), key=lambda row: len(rows[row]), default=0)
    if rows and len(rows[longest]) > context:
        got = f"{len(rows[longest]):,} in {sentences[longest][:40]!r} …"
        remedy = f"use --vae.context {len(rows[longest])}, or leave out such sentences"
        raise problem(f"sentences of at most {context:,} tokens, one per line", got, remedy)
    return rows
