"""The training of a language model on a text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rlgen.data.sentence_model import SentenceModel
from rlgen.data.text_model import TextModel
from rlgen.data.text_windows import TextWindows
from rlgen.data.texts import Corpus
from rlgen.data.tokenizers import Tokenizer
from rlgen.generators.language_model import LanguageModel
from rlgen.generators.text_sampling import Sampling
from rlgen.generators.trainer import Trainer
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.runs.text_files import save_text_model, save_tokenizer
from rlgen.system.files import atomic_write

from ..text_metrics import curve_point, measure, require_finite_model
from .best_weights import BestWeights

SAMPLE_SEED = 20_000
SAMPLES = "samples.txt"
BETWEEN = "\n\n" + "─" * 40 + "\n\n"
"""What separates samples in their file."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Samples that a run writes."""

    number: int
    length: int
    """Tokens of each, without the prompt."""
    prompt: str
    sampling: Sampling

    def of(self, model: TextModel | SentenceModel) -> str:
        """The samples as one text."""
        texts = model.sample(self.number, self.length, self.prompt, self.sampling, SAMPLE_SEED) if self.number else []
        return BETWEEN.join(texts) + "\n"


@dataclass(kw_only=True)
class TextTraining(BestWeights):
    """A `Trainable`: `game` learns from windows of the training text."""

    game: Trainer[LanguageModel]
    batches: TextWindows
    corpus: Corpus
    tokenizer: Tokenizer
    samples: Samples
    agent = "text"
    counted = "tokens"
    finite = frozenset({"nll_per_token", "nll_per_character", "bits_per_character"})

    def of(self, model: LanguageModel) -> TextModel:
        """The model with its tokenizer."""
        return TextModel(model, self.tokenizer)

    def evaluate(self) -> Mapping[str, float]:
        """The likelihood of the validation text; the model with the lowest loss is kept."""
        self.require_finite_model()
        with self.game.evaluating() as model:
            found = curve_point(self.of(model), self.corpus.validation)
            self.consider(model, found["nll_per_token"])
        return found

    def describe(self, evaluation: Mapping[str, float]) -> str:
        shown = ("nll_per_character", "perplexity")
        return super().describe({name: evaluation[name] for name in shown if name in evaluation})

    def require_finite_model(self) -> None:
        require_finite_model(self.game, self.of(self.game.model), self.corpus.validation)

    def files(self) -> Mapping[str, bytes]:
        """Samples of the current model."""
        with self.game.evaluating() as model:
            return {SAMPLES: self.samples.of(self.of(model)).encode()}

    def prints(self) -> Mapping[str, Mapping[str, Any]]:
        return self.corpus.fingerprints()

    def keep(self, folder: RunFolder) -> None:
        super().keep(folder)
        save_tokenizer(folder, self.tokenizer)

    def measure(self, model: LanguageModel) -> dict[str, Any]:
        return {"data": self.corpus.name, **self.chosen(), **measure(self.of(model), self.corpus.validation)}

    def save(self, folder: RunFolder, model: LanguageModel) -> None:
        save_text_model(folder, self.of(model))

    def illustrate(self, folder: RunFolder, metrics: Metrics, model: LanguageModel) -> None:
        atomic_write(folder / SAMPLES, self.samples.of(self.of(model)))
