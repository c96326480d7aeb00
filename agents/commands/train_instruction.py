"""`rlgen train instruction`: a model of instructions in what is seen, which policies start from, and a speaker."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from rlgen.checks import at_least, one_of
from rlgen.data.instructed_episodes import RowBatches
from rlgen.data.words import WORDS
from rlgen.display import Display, Panel
from rlgen.errors import problem
from rlgen.generators.registry import INSTRUCTION_MODELS
from rlgen.generators.speaker import GREEDY, Speaker, SpeakerConfig
from rlgen.generators.text_sampling import Sampling
from rlgen.generators.trainer import Trainer, TrainerConfig
from rlgen.runs.folder import RunFolder

from .. import instruction_metrics
from .evaluation import InstructionEvaluation
from .generative_settings import GenerativeSettings
from .instruction_split import EVERY, Split
from .instruction_training import InstructionTraining, SpeakerStage, rows_of

log = logging.getLogger("rlgen")


@dataclass(frozen=True, kw_only=True)
class TrainInstruction(GenerativeSettings):
    """A model of instructions in what is seen, from demonstrations of a BabyAI or MiniGrid task: it predicts hidden
    words and the expert's action (Prevalent). Policies start from it: --encoder.run RUN of `train bc` and others.

    With a speaker, trajectories without instruction are used too: it learns first to write the instruction of a
    trajectory. Every tenth labelled episode, in a fixed random order, is held out.
    """

    agent: ClassVar[str] = "instruction"
    evaluation = InstructionEvaluation
    models = INSTRUCTION_MODELS
    default_steps = 2_000
    general_results = instruction_metrics.RESULTS

    model: Literal["prevalent"] = "prevalent"
    """Model of hidden words and of the expert's action (prevalent)."""
    data: Path
    """Demonstrations with instructions, e.g. of `rlgen demos record --expert babyai-bot`."""
    labelled: int | None = None
    """Number of episodes of --data whose instructions are used, the first ones; the others count as unlabelled. By
    default all."""
    unlabelled: Path | None = None
    """More demonstrations, whose instructions are not used; those may be all 0."""
    speaker: Literal["on", "off"] = "off"
    """Speaker, which learns from the labelled episodes and writes instructions for the others. Without it only labelled
    episodes are used."""
    speaker_steps: int = 600
    """Updates in which the speaker learns, before those of the model."""
    writing: Sampling = GREEDY
    """Distribution of the words that the speaker writes; by default the most probable one each time."""
    steps: float | None = None
    """Updates of the whole training, those of the speaker included; 2,000, and those of the speaker, when neither this
    nor --epochs is given."""
    epochs: float | None = None
    """Passes of the model over the steps of all episodes, instead of --steps."""
    batch_size: int = 64
    """Steps of episodes per update of the model, and whole episodes per update of the speaker."""
    evaluate_every: int = 250
    """Updates between evaluations on the held-out episodes, one of them after the last update; 0 for none."""
    keep: Literal["best", "last"] = "best"
    """Weights of the final model: those of the evaluation with the lowest loss on held-out episodes, or the last
    ones."""
    game: TrainerConfig = field(default_factory=lambda: TrainerConfig(clip=1.0, warm_up=50, decay="linear"))
    """Training of the model and of the speaker: optimizers and schedules."""
    speaking: SpeakerConfig = field(default_factory=SpeakerConfig)
    """The speaker's network and optimizer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, EVERY, "labelled", remedy="give more labelled episodes, one of ten is held out")
        at_least(self, 1, "batch_size", "speaker_steps")
        one_of(self, "speaker", ("on", "off"))
        one_of(self, "keep", ("best", "last"))
        if self.speaker == "on" and self.steps is not None and self.steps <= self.speaker_steps:
            got = f"--steps {self.steps:g} and --speaker-steps {self.speaker_steps}"
            raise problem("more updates than the speaker's", got, "raise --steps, which includes the speaker's")

    @property
    def general_panels(self) -> tuple[Panel, ...]:  # type: ignore[override]
        return (*instruction_metrics.PANELS, *(Speaker.panels if self.speaker == "on" else ()))

    def display(self) -> Display:
        shown = {"instructions": "Instructions of held-out episodes, not chosen, each with what the speaker writes"}
        return replace(super().display(), texts=shown if self.speaker == "on" else {})

    def recorded(self) -> dict[str, Any]:
        """The contents of config.json, with absolute paths, because a run may be resumed from another working
        folder."""
        paths = {name: getattr(self, name) for name in ("data", "unlabelled")}
        return {**super().recorded(), **{name: str(path.resolve()) for name, path in paths.items() if path is not None}}

    def split(self) -> Split:
        """The episodes of the files, divided."""
        return Split.of(self.data, self.labelled, self.unlabelled)

    def total(self, training: InstructionTraining) -> int:
        speaker = self.speaker_steps if self.speaker == "on" else 0
        if self.steps is not None:
            return self.updates(0, 1)
        unlabelled = training.split.unlabelled
        rows = len(training.split.train.seen) + (len(unlabelled.seen) if speaker and unlabelled is not None else 0)
        return speaker + self.updates(rows, self.batch_size)

    def build(self, stack: ExitStack, folder: RunFolder | None) -> InstructionTraining:
        device = self.start_device("a model of instructions")
        split = self.split()
        self._say_what_is_used(split)
        self.seed_generators()
        # The weights are drawn on the CPU, so that a seed gives the same ones on every device.
        words = len(split.train.vocabulary)
        model = INSTRUCTION_MODELS[self.model](words, split.length, split.train.n_actions, self.model_config)
        model.own_words = split.train.vocabulary[len(WORDS) :]
        speaking = self._speaking(split, device) if self.speaker == "on" else None
        training = InstructionTraining(
            game=Trainer(model.to(device), self.game),
            batches=rows_of(split.train, self.batch_size, self.seed, device),
            speaking=speaking,
            split=split,
            keep_best=self.keep == "best",
            log_every=self.log_every,
        )
        training.game.updates = self.total(training) - (0 if speaking is None else speaking.updates)
        if folder is not None:
            training.require_kept(folder)
        return training

    def _speaking(self, split: Split, device: torch.device) -> SpeakerStage:
        """The speaker's part of the training."""
        train = split.train
        speaker = Speaker(len(train.vocabulary), split.length, train.n_actions, self.speaking).to(device)
        return SpeakerStage(
            game=Trainer(speaker, self.game, self.speaker_steps),
            batches=RowBatches(train.trajectories(), train.words, self.batch_size, self.seed, device),
            updates=self.speaker_steps,
            sampling=self.writing,
        )

    def _say_what_is_used(self, split: Split) -> None:
        unlabelled = 0 if split.unlabelled is None else len(split.unlabelled)
        if self.speaker == "on" and not unlabelled:
            remedy = "give --labelled or --unlabelled, or leave the speaker out"
            raise problem("unlabelled episodes for a speaker", "labelled ones alone", remedy)
        used = "for which a speaker writes instructions" if self.speaker == "on" else "which are not used"
        more = f", and {unlabelled:,} unlabelled ones, {used}" if unlabelled else ""
        log.info(
            "%d labelled episodes, %d of them held out%s",
            len(split.train) + len(split.held_out),
            len(split.held_out),
            more,
        )
