"""The metrics of a trained sentence VAE, and the check that its outputs are finite."""

from collections.abc import Sequence
from typing import Any

import torch

from rlgen.data.sentence_model import SEED, SentenceModel
from rlgen.display import Metric, Panel
from rlgen.generators.metrics.sentence_likelihood import latent_use
from rlgen.generators.trainer import Diverged, Trainer
from rlgen.system.rng import own_randomness

PANELS = (
    Panel(
        "Validation sentences: negative log-likelihood, at most [nats per sentence]",
        (
            Metric(
                "evaluation/nll_per_sentence",
                "bound, one latent each",
                band="evaluation/nll_per_sentence_standard_error",
            ),
        ),
    ),
    Panel("Perplexity per word, at most", (Metric("evaluation/perplexity", "validation, one latent each"),)),
    Panel("Active units", (Metric("evaluation/active_units", "of the latent dimensions"),), limits=(0, None)),
    Panel(
        "Information in the latent [nats per sentence]",
        (
            Metric("evaluation/kl", "KL to the prior, validation"),
            Metric("evaluation/mutual_information", "mutual information, validation"),
        ),
        limits=(0, None),
    ),
    Panel(
        "Tokens of validation sentences reconstructed",
        (Metric("evaluation/reconstruction_accuracy", "share"),),
        limits=(0, 1),
    ),
    Panel("Negative log-likelihood per token, at most", (Metric("evaluation/nll_per_token", "bound"),), drawn=False),
    Panel("Posteriors of the mutual information", (Metric("evaluation/posteriors", "sentences"),), drawn=False),
)
"""Panels of the metrics of evaluations during the training."""
RESULTS = (
    Metric("perplexity", "importance-weighted bound", "perplexity per word at most"),
    Metric("nll_per_sentence", "validation sentences", "nats per sentence at most", "nll_per_sentence_standard_error"),
    Metric("kl", "KL to the prior", "nats per sentence"),
    Metric("active_units", "active units", "latent dimensions"),
    Metric("mutual_information", "mutual information", "nats"),
    Metric("reconstruction_accuracy", "tokens reconstructed", share=True),
    Metric("importance_samples", "latents per sentence"),
    Metric("parameters", "size", "parameters"),
    Metric("start", "started from"),
    Metric("encoder", "encoder"),
)
"""Metrics of the finished model that reports show first."""
CHECKED = 8
"""Validation sentences whose likelihood must be finite before a checkpoint is written."""


def measure_sentences(model: SentenceModel, validation: Sequence[str], samples: int) -> dict[str, Any]:
    """Metrics by name: the importance-weighted bound with so many latents for each sentence, in all units, and how much
    the latents are used."""
    likelihood = model.likelihood(validation, samples)
    with own_randomness(SEED, model.device):
        used = latent_use(model.model, model.batches(validation))
    return {**likelihood.units(), **used}


def final_metrics(model: SentenceModel, validation: Sequence[str], samples: int) -> dict[str, Any]:
    """Metrics of a finished model by name, with what they are measured on."""
    return {
        "n_validation_sentences": len(validation),
        "vocabulary": model.tokenizer.size,
        "importance_samples": samples,
        **measure_sentences(model, validation, samples),
    }


def require_finite_sentences(game: Trainer[Any], model: SentenceModel, validation: Sequence[str]) -> None:
    """Raises `Diverged` if losses, weights or the likelihoods of some validation sentences are not finite."""
    game.require_finite()
    game.require_finite_weights()
    with game.evaluating(), torch.no_grad(), own_randomness(SEED, model.device):
        for tokens in model.batches(validation[:CHECKED]):
            if not bool(model.model.log_weight(tokens, 1).isfinite().all()):
                raise Diverged(game.step, "likelihoods of the model")
