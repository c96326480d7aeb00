"""The likelihood of sentences under a sentence VAE, and how much its latent variables are used."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from rlgen.equations.latent_use import active_units, aggregate_mutual_information
from rlgen.equations.text_likelihood import perplexity
from rlgen.generators.metrics.log_likelihood import importance_log_likelihood
from rlgen.generators.sentence_vae import SentenceVAE
from rlgen.nn.padding import PADDING

MOST_POSTERIORS = 2_000
"""Most sentences whose posteriors the mutual information is estimated from, because its cost is quadratic."""


def sentence_log_prob(
    model: SentenceVAE, batches: Iterable[Int[Tensor, "_ T"]], samples: int
) -> Iterator[Float[Tensor, " _"]]:
    """The importance-weighted bound on log p(x) of each sentence, nats, float64, for each batch."""
    for tokens in batches:
        yield importance_log_likelihood(model.log_weight, tokens, samples)


class SentenceLikelihood(NamedTuple):
    """Bounds on the likelihoods of sentences. One converter for all units."""

    log_prob: Float[Tensor, " N"]
    """Bound on log p of each sentence with its end, nats."""
    tokens: int
    """Tokens of all sentences, with an end for each."""
    words: int
    """Words of all sentences, separated by spaces, with an end for each."""
    samples: int
    """Latents per sentence."""

    def units(self) -> dict[str, float]:
        """`nll_per_sentence` with its standard error over sentences and `nll_per_token`, nats, and `perplexity` per
        word. They are upper limits: with more samples they fall, in expectation, to the true values."""
        total, count = self.log_prob.sum(), len(self.log_prob)
        error = float(self.log_prob.std()) / math.sqrt(count) if count > 1 else math.nan
        return {
            "nll_per_sentence": -float(total) / count,
            "nll_per_sentence_standard_error": error,
            "nll_per_token": -float(total) / self.tokens,
            "perplexity": perplexity(total, self.words).item(),
        }


@torch.no_grad()
def latent_use(model: SentenceVAE, batches: Iterable[Int[Tensor, "_ T"]]) -> dict[str, float]:
    """How much the latents of sentences say.

    `kl`: mean of the KL divergence to the prior, nats per sentence, all of it. `active_units`: latent dimensions whose
    posterior mean varies over the sentences by more than 0.01. `mutual_information`: of sentence and latent under the
    aggregate posterior of the first `posteriors` sentences, nats. `reconstruction_accuracy`: share of tokens, ends
    included, that are the most probable ones given the posterior mean and the true tokens before them."""
    means, stds, draws, divergences = [], [], [], []
    right, all_tokens = 0, 0
    for tokens in batches:
        features = model.features(tokens)
        mean, log_std = model.posterior.mean_and_log_std(features)
        means.append(mean)
        stds.append(log_std.exp())
        draws.append(model.posterior.rsample(features)[0][0])
        divergences.append(model.posterior.kl(features).sum(1))
        targets = model.ended(tokens)
        guessed = model.logits(model.started(tokens), mean).argmax(-1)
        right += int(((guessed == targets) & (targets != PADDING)).sum())
        all_tokens += int((targets != PADDING).sum())
    mean, std, z = (torch.cat(each).double() for each in (means, stds, draws))
    some = slice(MOST_POSTERIORS)
    return {
        "kl": torch.cat(divergences).double().mean().item(),
        "active_units": int(active_units(mean)),
        "mutual_information": aggregate_mutual_information(z[some], mean[some], std[some]).item(),
        "posteriors": len(z[some]),
        "reconstruction_accuracy": right / all_tokens,
    }
