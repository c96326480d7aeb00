"""The training of a sentence VAE on sentences."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rlgen.data.sentence_batches import SentenceBatches
from rlgen.data.sentence_model import SentenceModel
from rlgen.data.sentences import Sentences
from rlgen.generators.sentence_vae import SentenceVAE
from rlgen.generators.trainer import Trainer
from rlgen.runs.bert_files import save_reader
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.system.files import atomic_write

from .. import label_metrics, sentence_metrics
from .writing_training import SAMPLES, WritingTraining

RECONSTRUCTIONS, INTERPOLATION, ANALOGIES = "reconstructions.txt", "interpolation.txt", "analogies.txt"
RECONSTRUCTED = 8
"""Validation sentences that are reconstructed, the first ones of the split, whose order is random."""
STEPS = 7
"""Sentences of the interpolation, from the first validation sentence to the second."""
ANALOGOUS = 3
"""Analogies, of three validation sentences each, the first ones of the split."""


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
        "analogies": f"{ANALOGOUS} analogies of validation sentences, not chosen: a is to b as c is to what follows",
        "guided": label_metrics.CAPTION,
    }
    panels = sentence_metrics.PANELS
    results = (*sentence_metrics.RESULTS, *label_metrics.RESULTS)
    labels: bool = False
    """Whether the files of the sentences are classes, which the final metrics predict from the latents."""
    guided: str = field(default="", init=False)
    """Sentences moved from one class to another, measured at the end."""

    def of(self, model: SentenceVAE) -> SentenceModel:
        return SentenceModel(model, self.tokenizer)

    def keep(self, folder: RunFolder) -> None:
        super().keep(folder)
        save_reader(folder, self.game.model.reader)

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
            ANALOGIES: "\n\n".join(_analogies(model, self.corpus.validation[: 3 * ANALOGOUS])) + "\n",
        }

    def measure(self, model: SentenceVAE) -> dict[str, Any]:
        found = super().measure(model)
        if model.reader is not None:
            found["encoder"] = model.reader.origin
        if not self.labels:
            return found
        use = label_metrics.label_use(self.of(model), self.corpus)
        self.guided = use.guided
        return {**found, **use.metrics}

    def illustrate(self, folder: RunFolder, metrics: Metrics, model: SentenceVAE) -> None:
        super().illustrate(folder, metrics, model)
        if self.guided:
            atomic_write(folder / label_metrics.GUIDED_FILE, self.guided)

    @staticmethod
    def final_metrics(model: SentenceModel, corpus: Sentences, importance_samples: int) -> dict[str, Any]:
        return sentence_metrics.final_metrics(model, corpus.validation, importance_samples)


def _analogies(model: SentenceModel, sentences: Sequence[str]) -> Iterator[str]:
    """Analogies of three sentences each; those that lack some are left out."""
    for one, two, three in zip(sentences[::3], sentences[1::3], sentences[2::3], strict=False):
        yield f"a: {one}\nb: {two}\nc: {three}\n→ {model.analogy(one, two, three)}"
