"""The metrics of a trained language model, and the check that its outputs are finite."""

from typing import Any

import torch

from rlgen.data.text_model import TextModel
from rlgen.display import Metric, Panel
from rlgen.generators.trainer import Diverged, Trainer

PANELS = (
    Panel(
        "Validation text, in blocks [nats per character]",
        (
            Metric(
                "evaluation/nll_per_character", "validation text", band="evaluation/nll_per_character_standard_error"
            ),
        ),
    ),
    Panel("Perplexity of the validation text per token", (Metric("evaluation/perplexity", "in blocks"),), drawn=False),
    Panel(
        "Bits per character of the validation text",
        (Metric("evaluation/bits_per_character", "in blocks"),),
        drawn=False,
    ),
)
"""Panels of the metrics of evaluations during the training."""
RESULTS = (
    Metric("nll_per_character", "validation loss", "nats per character", "nll_per_character_standard_error"),
    Metric("bits_per_character", "validation loss in bits", "bits per character"),
    Metric("perplexity", "perplexity per token"),
    Metric("nll_per_token", "validation loss per token", "nats per token", "nll_per_token_standard_error"),
    Metric("nll_per_character_in_blocks", "validation loss in blocks", "nats per character"),
    Metric("parameters", "size", "parameters"),
    Metric("start", "started from"),
)
"""Metrics of the finished model that reports show first."""
CHECKED = 1_000
"""Characters of the validation text whose likelihood must be finite before a checkpoint is written."""


def curve_point(model: TextModel, validation: str) -> dict[str, float]:
    """The likelihood of the validation text in blocks, in all units."""
    return model.likelihood(validation, blocks=True).units()


def measure(model: TextModel, validation: str) -> dict[str, Any]:
    """Final metrics by name: the likelihood of the whole validation text in windows that overlap by half, in all units,
    and in blocks, as nanoGPT has it, in nats per character."""
    found = model.likelihood(validation)
    blocks = model.likelihood(validation, blocks=True).units()
    return {
        "n_validation_characters": found.characters,
        "n_validation_tokens": found.tokens,
        "vocabulary": model.tokenizer.size,
        **found.units(),
        "nll_per_character_in_blocks": blocks["nll_per_character"],
    }


def require_finite_model(game: Trainer[Any], model: TextModel, validation: str) -> None:
    """Raises `Diverged` if losses, weights or the likelihood of a part of the validation text are not finite."""
    game.require_finite()
    game.require_finite_weights()
    tokens = model.tokenizer.encode(validation[:CHECKED])[: model.model.config.context].to(model.device)
    with game.evaluating() as network, torch.no_grad():
        if not bool(network.log_prob(tokens[None]).isfinite().all()):
            raise Diverged(game.step, "likelihoods of the model")
