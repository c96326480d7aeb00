"""`rlgen train text`: a language model of a text or a VAE of its sentences, and samples of it."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_type_hints

import torch

from rlgen.checks import at_least
from rlgen.data.sentence_batches import SentenceBatches
from rlgen.data.sentence_model import SentenceModel, encoded
from rlgen.data.sentences import Sentences
from rlgen.data.text_model import TextModel
from rlgen.data.text_windows import TextWindows
from rlgen.data.texts import Corpus
from rlgen.data.tokenizers import BPETokenizer, Tokenizer, fitted
from rlgen.deprecation import UNLESS_DEFAULT, UNLESS_NONE
from rlgen.display import Display, Metric, Panel
from rlgen.errors import problem
from rlgen.generators.generative_model import GenerativeModel
from rlgen.generators.language_model import LanguageModel
from rlgen.generators.registry import TEXT_MODELS
from rlgen.generators.sentence_vae import Reader, SentenceVAE, SentenceVAEConfig
from rlgen.generators.text_sampling import Sampling
from rlgen.generators.trainer import Trainer, TrainerConfig
from rlgen.runs.bert_files import load_bert, load_reader
from rlgen.runs.checkpoint import list_checkpoints
from rlgen.runs.folder import RunFolder
from rlgen.runs.text_files import TOKENIZER, built, load_tokenizer
from rlgen.runs.text_start import TextStart, noted_origin, start_from

from .choices import typed, with_fields
from .evaluation import TextEvaluation
from .generative_settings import GenerativeSettings
from .sentence_training import SentenceTraining
from .text_training import TextTraining
from .writing_training import Samples, WritingTraining

# Every entry of `TEXT_MODELS` is a choice of the command line; a static checker cannot follow that.
if TYPE_CHECKING:
    Model = str
else:
    Model = Literal[*TEXT_MODELS]

TRAININGS: dict[type[GenerativeModel], type[WritingTraining]] = {
    LanguageModel: TextTraining,
    SentenceVAE: SentenceTraining,
}
"""The training of each kind of model."""


@dataclass(frozen=True, kw_only=True)
class TrainText(GenerativeSettings):
    """A language model of a text, or a VAE of its sentences: of a file, a folder of .txt files or a .zip of them, in
    UTF-8. A language model learns the first 90 % of each file, and the last 10 % are the validation text. A VAE learns
    lines, one sentence each; every tenth in a fixed random order is for validation.

    The run folder gets the tokenizer, samples, metrics, checkpoints and a report. The model's settings have its name as
    prefix: --help-all lists them.
    """

    agent: ClassVar[str] = "text"
    evaluation = TextEvaluation
    models = TEXT_MODELS
    default_steps = 2_400

    model: Model = "lm"
    """Language model (lm), or variational autoencoder of sentences (vae)."""
    data: str
    """Text to learn, with one sentence per line for a vae: a file, a folder or a .zip archive."""
    pattern: str = "*.txt"
    """Names of the files that are read in a folder or archive."""
    tokenizer: Literal["bytes", "bpe"] = "bytes"
    """Tokens of the text: its bytes, or byte-pair encoding, learned from the training text (needs the extra `text`)."""
    vocabulary: int = 1_024
    """Number of tokens that byte-pair encoding has at most; more than 256, the bytes."""
    start: Path | None = field(default=None, metadata=UNLESS_NONE)
    """Finished run of `rlgen train text`, whose weights, tokenizer and sizes the model starts with, or a folder with a
    GPT-2: config.json, model.safetensors and tokenizer.json. By default weights are random."""
    encoder: Path | None = field(default=None, metadata=UNLESS_NONE)
    """Folder with a BERT (config.json, model.safetensors and tokenizer.json) that encodes the sentences instead of a
    Transformer like the decoder; it reads them in tokens of its own (vae)."""
    steps: float | None = None
    """Updates of the whole training; 2,400 when neither this nor --epochs is given."""
    epochs: float | None = None
    """Passes over the training text, instead of --steps: all sentences (vae), or as many tokens as it has, in windows
    drawn at random (lm)."""
    batch_size: int = 16
    """Windows of text per gradient step, each as long as the model's context (lm), or sentences (vae)."""
    evaluate_every: int = 1_000
    """Updates between evaluations on the whole validation text, one of them after the last update; 0 for none."""
    keep: Literal["best", "last"] = "best"
    """Weights of the final model: those of the evaluation with the lowest validation loss, or the last ones."""
    importance_samples: int = 20
    """Latents per validation sentence of the final bound on the likelihood (vae)."""
    labels: bool = field(default=False, metadata=UNLESS_DEFAULT)
    """Files of the data as classes of their sentences: the result has the accuracy of classifiers of the latents, and
    shows sentences that are moved from one class to the other (vae)."""
    samples: int = 4
    """Number of samples that the run writes; 0 for none."""
    sample_length: int = 400
    """Tokens of each sample; a sentence may end earlier (vae)."""
    prompt: str = ""
    """Text that samples continue; by default they start a text."""
    sampling: Sampling = field(default_factory=Sampling)
    """Distribution that samples are drawn from."""
    game: TrainerConfig = field(
        default_factory=lambda: TrainerConfig(clip=1.0, warm_up=100, decay="linear", precision="auto")
    )
    """Training of any model: optimizers and schedules."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("start", "encoder"):  # a resumed run may start in another working folder
            if (path := getattr(self, name)) is not None:
                object.__setattr__(self, name, path.resolve())
        at_least(self, 1, "batch_size", "sample_length", "importance_samples")
        at_least(self, 0, "samples")
        if self.tokenizer == "bpe":
            at_least(self, 257, "vocabulary", remedy="use e.g. 1024")
        if self.labels and self.model != "vae":
            got = f"--labels for {self.model}, which has none"
            raise problem("a model with latents (vae), which predict labels", got, "leave --labels out")
        if self.encoder is not None and self.model != "vae":
            raise problem("a model with an encoder (vae)", f"--encoder for {self.model}", "leave --encoder out")

    @classmethod
    def for_arguments(cls, arguments: Sequence[str], values: Mapping[str, Any]) -> type[Self]:
        """The class with the settings of the chosen model, whose defaults are those of --start."""
        path = typed(arguments, "--start") or values.get("start")
        if path is None or not Path(path).is_dir():  # an absent one is refused when the training is built
            return super().for_arguments(arguments, values)
        start = TextStart.of(Path(path))
        kind = super().for_arguments(arguments, {"model": start.model, **values})
        settings, hints = start.settings(kind.model), get_type_hints(kind)
        own: dict[str, Any] = {kind.model: settings, "tokenizer": start.tokenizer}
        if start.tokenizer == BPETokenizer.kind:
            own["vocabulary"] = start.vocabulary
        return with_fields(kind, [(name, hints[name], field(default=value)) for name, value in own.items()])

    @property
    def evaluates_first(self) -> bool:
        return self.start is not None

    @property
    def training_type(self) -> type[WritingTraining]:
        """The training of the chosen model."""
        return TRAININGS[TEXT_MODELS[self.model]]

    @property
    def general_panels(self) -> tuple[Panel, ...]:  # type: ignore[override]
        return self.training_type.panels

    @property
    def general_results(self) -> tuple[Metric, ...]:  # type: ignore[override]
        return self.training_type.results

    def display(self) -> Display:
        return replace(super().display(), texts=dict(self.training_type.captions))

    def texts(self) -> Corpus | Sentences:
        """The text or the sentences that are learned and measured."""
        return self.training_type.corpus_type.load(self.data, self.pattern)

    def recorded(self) -> dict[str, Any]:
        """The contents of config.json, with an absolute path, because a run may be resumed from another working
        folder."""
        return {**super().recorded(), "data": str(Path(self.data).resolve())}

    def samples_of_run(self, number: int) -> Samples:
        """Settings of so many samples."""
        return Samples(number=number, length=self.sample_length, prompt=self.prompt, sampling=self.sampling)

    def total(self, training: Any) -> int:
        return self.updates(training.batches.of_epoch, training.batches.size)

    def build(self, stack: ExitStack, folder: RunFolder | None) -> WritingTraining:
        device = self.start_device(self.training_type.what)
        corpus = self.texts()
        if self.labels and isinstance(corpus, Sentences):
            corpus.require_classes()
        start = self._start(folder)
        started = None if start is None else start.load()
        if folder is not None and (folder / TOKENIZER).is_file():
            tokenizer = load_tokenizer(folder)
        elif started is not None:
            tokenizer = started.tokenizer
        else:  # a new run, or one that was killed before it had written its tokenizer
            tokenizer = fitted(self.tokenizer, corpus.text, self.vocabulary)
        reader = self._reader(folder, started, tokenizer)
        self.seed_generators()
        # The weights are drawn on the CPU, so that a seed gives the same ones on every device.
        model = built(TEXT_MODELS[self.model], tokenizer.size, self.model_config, reader)
        if started is not None:
            start_from(model, started.model)
        game = Trainer(model.to(device), self.game)
        training: WritingTraining = self.training_type(
            game=game,
            batches=self._batches(corpus, tokenizer, model.config.context, device),
            corpus=corpus,
            tokenizer=tokenizer,
            samples=self.samples_of_run(self.samples),
            importance_samples=self.importance_samples,
            keep_best=self.keep == "best",
            log_every=self.log_every,
            origin=noted_origin(folder) if start is None else start.origin,
        )
        game.updates = self.total(training)
        if isinstance(training, SentenceTraining):
            model.total = game.updates
            training.labels = self.labels
        if folder is not None:
            training.require_kept(folder)
        return training

    def _start(self, folder: RunFolder | None) -> TextStart | None:
        """The start, of a run that has no checkpoint yet. Raises `InputError` unless it fits the settings."""
        if self.start is None or (folder is not None and list_checkpoints(folder)):
            return None
        start = TextStart.of(self.start)
        start.require(self.model, self.model_config, self.tokenizer, self.vocabulary)
        return start

    def _reader(
        self, folder: RunFolder | None, started: TextModel | SentenceModel | None, tokenizer: Tokenizer
    ) -> Reader | None:
        """The other encoder of a sentence VAE, if it has one: that of the run, of its start, or of --encoder. The
        weights of a run with a checkpoint are there."""
        found: Reader | None = None
        if folder is not None and list_checkpoints(folder):
            found = load_reader(folder, tokenizer)
        elif isinstance(started, SentenceModel):
            if self.encoder is not None:
                got = f"--encoder {self.encoder}, and a VAE in {self.start} that has one"
                raise problem("an encoder for a new VAE", got, "leave --encoder or --start out")
            found = started.model.reader
        elif self.encoder is not None:
            found = load_bert(self.encoder, tokenizer)
        if found is None and self.model == "vae" and self.model_config.encoder_rate != SentenceVAEConfig.encoder_rate:
            got = f"--vae.encoder-rate {self.model_config.encoder_rate:g} without one"
            raise problem("an encoder with published weights", got, "give --encoder, or leave --vae.encoder-rate out")
        return found

    def _batches(
        self, corpus: Corpus | Sentences, tokenizer: Tokenizer, context: int, device: torch.device
    ) -> TextWindows | SentenceBatches:
        if isinstance(corpus, Sentences):
            rows = encoded(tokenizer, (*corpus.train, *corpus.validation, self.prompt), context)
            return SentenceBatches(rows[: len(corpus.train)], self.batch_size, self.seed, device)
        tokens = tokenizer.encode(corpus.train).to(device)
        if len(tokens) < context:
            got = f"{len(tokens):,} in the training part of {corpus.name}"
            remedy = "give a longer text or a shorter --lm.context"
            raise problem(f"at least {context:,} tokens, one window", got, remedy)
        return TextWindows(tokens, self.batch_size, context, self.seed)
