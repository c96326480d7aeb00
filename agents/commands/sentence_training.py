"""The training of a sentence VAE on sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rlgen.data.sentence_batches import SentenceBatches
from rlgen.data.sentence_model import SentenceModel
from rlgen.data.sentences import Sentences
from rlgen.generators.sentence_vae import SentenceVAE
from rlgen.generators.trainer import Trainer

from .. import sentence_metrics
from .writing_training import SAMPLES, WritingTraining

RECONSTRUCTIONS, INTERPOLATION = "reconstructions.txt", "interpolation.txt"
RECONSTRUCTED = 8
"""Validation sentences that are reconstructed, the first ones of the split, whose order is random."""
STEPS = 7
"""Sentences of the interpolation, from the first validation sentence to the second."""


@dataclass(kw_only=True)
class SentenceTraining(WritingTraining):
    """A `Trainable`: `game` learns from minibatches of the training sentences."""

    game: Trainer[SentenceVAE]
    batches: SentenceBatches
    corpus: Sentences
    counted = "sentences"
    finite = frozenset({"nll_per_sentence", "kl", "mutual_information"})
    corpus_type = Sentences
    what = "a sentence VAE"
    noted = "sentences"
    captions: ClassVar[Mapping[str, str]] = {
        "samples": "Sentences of latents from the prior, not chosen",
        "reconstructions": "Validation sentences, not chosen, each with its reconstruction from the posterior mean",
        "interpolation": (
            f"{STEPS} sentences between two validation sentences, on the line of posterior means, not chosen"
        ),
    }
    panels = sentence_metrics.PANELS
    results = sentence_metrics.RESULTS

    def of(self, model: SentenceVAE) -> SentenceModel:
        return SentenceModel(model, self.tokenizer)

    def evaluate(self) -> Mapping[str, float]:
        """The evidence lower bound of the validation sentences, and how much the latents are used; the model with the
        best bound is kept."""
        self.require_finite_model()
        with self.game.evaluating() as model:
            found = sentence_metrics.measure_sentences(self.of(model), self.corpus.validation, 1)
            self.consider(model, found["nll_per_sentence"])
        return found

    def describe(self, evaluation: Mapping[str, float]) -> str:
        shown = ("nll_per_sentence", "perplexity", "kl", "active_units")
        return super().describe({name: evaluation[name] for name in shown if name in evaluation})

    def require_finite_model(self) -> None:
        sentence_metrics.require_finite_sentences(self.game, self.of(self.game.model), self.corpus.validation)

    def texts(self, model: SentenceModel) -> dict[str, str]:
        """Samples, reconstructions and an interpolation, by file name."""
        first, last = self.corpus.validation[:1], self.corpus.validation[1:2]
        shown = self.corpus.validation[:RECONSTRUCTED]
        pairs = zip(shown, model.reconstruct(shown), strict=True)
        between = model.interpolate(first[0], (last or first)[0], STEPS)
        return {
            SAMPLES: self.samples.of(model),
            RECONSTRUCTIONS: "\n\n".join(f"{given}\n→ {written}" for given, written in pairs) + "\n",
            INTERPOLATION: "\n".join([*first, *(f"→ {each}" for each in between), *last]) + "\n",
        }

    @staticmethod
    def final_metrics(model: SentenceModel, corpus: Sentences, importance_samples: int) -> dict[str, Any]:
        return sentence_metrics.final_metrics(model, corpus.validation, importance_samples)
