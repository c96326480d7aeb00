"""The training of a sentence VAE on sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlgen.data.sentence_batches import SentenceBatches
from rlgen.data.sentence_model import SentenceModel
from rlgen.data.sentences import Sentences
from rlgen.data.tokenizers import Tokenizer
from rlgen.generators.sentence_vae import SentenceVAE
from rlgen.generators.trainer import Trainer
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.runs.text_files import save_text_model, save_tokenizer
from rlgen.system.files import atomic_write

from ..sentence_metrics import final_metrics, measure_sentences, require_finite_sentences
from .best_weights import BestWeights
from .text_training import SAMPLES, Samples

RECONSTRUCTIONS, INTERPOLATION = "reconstructions.txt", "interpolation.txt"
RECONSTRUCTED = 8
"""Validation sentences that are reconstructed, the first ones of the split, whose order is random."""
STEPS = 7
"""Sentences of the interpolation, from the first validation sentence to the second."""


@dataclass(kw_only=True)
class SentenceTraining(BestWeights):
    """A `Trainable`: `game` learns from minibatches of the training sentences."""

    game: Trainer[SentenceVAE]
    batches: SentenceBatches
    corpus: Sentences
    tokenizer: Tokenizer
    samples: Samples
    importance_samples: int
    """Latents per validation sentence of the final bound; evaluations during the training have one."""
    agent = "text"
    counted = "sentences"
    finite = frozenset({"nll_per_sentence", "kl", "mutual_information"})

    def of(self, model: SentenceVAE) -> SentenceModel:
        """The model with its tokenizer."""
        return SentenceModel(model, self.tokenizer)

    def evaluate(self) -> Mapping[str, float]:
        """The evidence lower bound of the validation sentences, and how much the latents are used; the model with the
        best bound is kept."""
        self.require_finite_model()
        with self.game.evaluating() as model:
            found = measure_sentences(self.of(model), self.corpus.validation, 1)
            self.consider(model, found["nll_per_sentence"])
        return found

    def describe(self, evaluation: Mapping[str, float]) -> str:
        shown = ("nll_per_sentence", "perplexity", "kl", "active_units")
        return super().describe({name: evaluation[name] for name in shown if name in evaluation})

    def require_finite_model(self) -> None:
        require_finite_sentences(self.game, self.of(self.game.model), self.corpus.validation)

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

    def files(self) -> Mapping[str, bytes]:
        """Samples, reconstructions and an interpolation of the current model."""
        with self.game.evaluating() as model:
            return {name: text.encode() for name, text in self.texts(self.of(model)).items()}

    def prints(self) -> Mapping[str, Mapping[str, Any]]:
        return self.corpus.fingerprints()

    def keep(self, folder: RunFolder) -> None:
        super().keep(folder)
        save_tokenizer(folder, self.tokenizer)

    def measure(self, model: SentenceVAE) -> dict[str, Any]:
        found = final_metrics(self.of(model), self.corpus.validation, self.importance_samples)
        return {"data": self.corpus.name, **self.chosen(), **found}

    def save(self, folder: RunFolder, model: SentenceVAE) -> None:
        save_text_model(folder, self.of(model))

    def illustrate(self, folder: RunFolder, metrics: Metrics, model: SentenceVAE) -> None:
        for name, text in self.texts(self.of(model)).items():
            atomic_write(folder / name, text)
