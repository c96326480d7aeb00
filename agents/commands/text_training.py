"""The training of a language model on a text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rlgen.data.text_model import TextModel
from rlgen.data.text_windows import TextWindows
from rlgen.data.texts import Corpus
from rlgen.generators.language_model import LanguageModel
from rlgen.generators.trainer import Trainer

from .. import text_metrics
from .writing_training import SAMPLES, WritingTraining


@dataclass(kw_only=True)
class TextTraining(WritingTraining):
    """A `Trainable`: `game` learns from windows of the training text."""

    game: Trainer[LanguageModel]
    batches: TextWindows
    corpus: Corpus
    counted = "tokens"
    finite = frozenset({"nll_per_token", "nll_per_character", "bits_per_character"})
    corpus_type = Corpus
    what = "a language model"
    noted = "characters"
    captions: ClassVar[Mapping[str, str]] = {"samples": "Samples, not chosen"}
    panels = text_metrics.PANELS
    results = text_metrics.RESULTS

    def of(self, model: LanguageModel) -> TextModel:
        return TextModel(model, self.tokenizer)

    def evaluate(self) -> Mapping[str, float]:
        """The likelihood of the validation text; the model with the lowest loss is kept."""
        self.require_finite_model()
        with self.game.evaluating() as model:
            found = text_metrics.curve_point(self.of(model), self.corpus.validation)
            self.consider(model, found["nll_per_token"])
        return found

    def describe(self, evaluation: Mapping[str, float]) -> str:
        shown = ("nll_per_character", "perplexity")
        return super().describe({name: evaluation[name] for name in shown if name in evaluation})

    def require_finite_model(self) -> None:
        text_metrics.require_finite_model(self.game, self.of(self.game.model), self.corpus.validation)

    def texts(self, model: TextModel) -> dict[str, str]:
        """Samples."""
        return {SAMPLES: self.samples.of(model)}

    @staticmethod
    def final_metrics(model: TextModel, corpus: Corpus, importance_samples: int) -> dict[str, Any]:
        return text_metrics.measure(model, corpus.validation)
