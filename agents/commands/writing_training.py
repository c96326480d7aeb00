"""The training of a model that writes texts: what language models and sentence VAEs share."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rlgen.data.sentence_model import SentenceModel
from rlgen.data.sentences import Sentences
from rlgen.data.text_model import TextModel
from rlgen.data.texts import Corpus
from rlgen.data.tokenizers import Tokenizer
from rlgen.display import Metric, Panel
from rlgen.generators.text_sampling import Sampling
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.runs.text_files import save_text_model, save_tokenizer
from rlgen.runs.text_start import note_origin
from rlgen.system.files import atomic_write

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
class WritingTraining(BestWeights):
    """A `BestWeights` of a model with a tokenizer, which writes texts into the run's folder."""

    corpus: Any
    tokenizer: Tokenizer
    samples: Samples
    importance_samples: int
    """Latents per validation sentence of the final bound, for a model with latents."""
    origin: str | None = None
    """What the model started from, in words; None for random weights."""
    agent = "text"
    corpus_type: ClassVar[type[Corpus] | type[Sentences]]
    """What is learned, and loaded by its `load`."""
    what: ClassVar[str]
    """The kind of model, in messages."""
    noted: ClassVar[str]
    """What a run's record of its data counts, in the plural."""
    captions: ClassVar[Mapping[str, str]]
    """Captions of the texts in the report, by file name without its ending."""
    panels: ClassVar[tuple[Panel, ...]]
    """Panels of the metrics of evaluations."""
    results: ClassVar[tuple[Metric, ...]]
    """Metrics of the result that reports show first."""

    @abstractmethod
    def of(self, model: Any) -> Any:
        """The model with its tokenizer."""

    @abstractmethod
    def texts(self, model: Any) -> dict[str, str]:
        """What the model with its tokenizer writes, by file name."""

    @staticmethod
    @abstractmethod
    def final_metrics(model: Any, corpus: Any, importance_samples: int) -> dict[str, Any]:
        """Metrics of a finished model with its tokenizer, by name."""

    def files(self) -> Mapping[str, bytes]:
        with self.game.evaluating() as model:
            return {name: text.encode() for name, text in self.texts(self.of(model)).items()}

    def prints(self) -> Mapping[str, Mapping[str, Any]]:
        return self.corpus.fingerprints()

    def keep(self, folder: RunFolder) -> None:
        super().keep(folder)
        save_tokenizer(folder, self.tokenizer)
        if self.origin is not None:
            note_origin(folder, self.origin)

    def measure(self, model: Any) -> dict[str, Any]:
        found = self.final_metrics(self.of(model), self.corpus, self.importance_samples)
        start = {} if self.origin is None else {"start": self.origin}
        return {"data": self.corpus.name, **start, **self.chosen(), **found}

    def save(self, folder: RunFolder, model: Any) -> None:
        save_text_model(folder, self.of(model))

    def illustrate(self, folder: RunFolder, metrics: Metrics, model: Any) -> None:
        for name, text in self.texts(self.of(model)).items():
            atomic_write(folder / name, text)
