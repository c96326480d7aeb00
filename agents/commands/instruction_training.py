"""The training of a model of instructions, and of a speaker before it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rlgen.data.instructed_episodes import InstructedEpisodes, RowBatches, joined
from rlgen.generators.generative_model import Terms
from rlgen.generators.instruction_model import InstructionModel
from rlgen.generators.speaker import Speaker
from rlgen.generators.text_sampling import Sampling
from rlgen.generators.trainer import Trainer
from rlgen.nn.cross_modal import without_unused
from rlgen.runs.folder import RunFolder
from rlgen.runs.instruction_files import save_instruction_model, save_speaker
from rlgen.runs.metrics import Metrics
from rlgen.system.files import atomic_write
from rlgen.system.rng import own_randomness

from .. import instruction_metrics
from .best_weights import BestWeights
from .instruction_split import Split

log = logging.getLogger("rlgen")
WRITING_SEED = 40_000
INSTRUCTIONS = "instructions.txt"


@dataclass(kw_only=True)
class SpeakerStage:
    """The first part of a training: the speaker learns from labelled episodes, then writes instructions."""

    game: Trainer[Speaker]
    batches: RowBatches
    updates: int
    """Length of this part."""
    sampling: Sampling
    """Distribution of the words that it writes."""
    written: Tensor | None = field(default=None, init=False)
    """Instructions [E, L] of the unlabelled episodes; None before they are written."""

    @property
    def finished(self) -> bool:
        return self.game.step >= self.updates

    def write(self, episodes: InstructedEpisodes) -> None:
        """Write the instructions of `episodes`."""
        device = self.game.device
        with self.game.evaluating() as speaker, own_randomness(WRITING_SEED, device):
            self.written = instruction_metrics.write_instructions(speaker, episodes, self.sampling, device)

    def state_dict(self) -> dict[str, Any]:
        written = {} if self.written is None else {"written": self.written}
        return {"game": self.game.state_dict(), "batches": self.batches.state_dict(), **written}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.game.load_state_dict(state["game"])
        self.batches.load_state_dict(state["batches"])
        self.written = state["written"].cpu() if "written" in state else None


@dataclass(kw_only=True)
class InstructionTraining(BestWeights):
    """A `Trainable`: the speaker learns first, if there is one; then `game` learns from the steps of the labelled
    episodes and of those for which the speaker wrote an instruction. Its updates are counted after the speaker's."""

    game: Trainer[InstructionModel]
    batches: RowBatches
    """Steps of the labelled episodes; from the end of the speaker's part on, of all."""
    speaking: SpeakerStage | None
    split: Split
    agent = "instruction"
    counted = "examples"
    finite = frozenset({"action_nll", "word_nll", "speaker_nll"})

    @property
    def step(self) -> int:
        return self.game.step + (0 if self.speaking is None else self.speaking.game.step)

    def update(self) -> Terms:
        if self.speaking is None or self.speaking.finished:
            return super().update()
        logs = self.speaking.game.update(*next(self.speaking.batches))
        if self.speaking.finished:
            self.speaking.game.require_finite()
            self._take_written()
        return logs

    def ends_row(self) -> bool:
        """Means of the two parts do not mix."""
        return super().ends_row() or (self.speaking is not None and self.step == self.speaking.updates)

    def _take_written(self) -> None:
        """Add the unlabelled episodes with the speaker's instructions to what is learned."""
        assert self.speaking is not None
        assert self.split.unlabelled is not None
        if self.speaking.written is None:
            self.speaking.write(self.split.unlabelled)
            found = self._written()
            same = f", {found['written_exact']:.1%} of them the true ones" if "written_exact" in found else ""
            log.info("the speaker wrote %d instructions%s", len(self.split.unlabelled), same)
        assert self.speaking.written is not None
        every = joined([self.split.train, self.split.unlabelled.with_words(without_unused(self.speaking.written))])
        self.batches = rows_of(every, self.batches.size, self.batches.seed, self.device)

    def _written(self) -> dict[str, float]:
        """How many instructions the speaker wrote, and the share of them that are the true ones, where these are
        known."""
        if self.speaking is None or self.speaking.written is None or self.split.unlabelled is None:
            return {}
        true = self.split.unlabelled.words
        known = (true != 0).any(1)
        found: dict[str, float] = {"written": len(true)}
        if bool(known.any()):
            found |= instruction_metrics.agreement(self.speaking.written[known], true[known])
        return found

    def evaluate(self) -> Mapping[str, float]:
        """Metrics of the speaker while it learns, and then of the model; the weights with the lowest sum of the losses
        that it learns by are kept."""
        self.require_finite_model()
        if self.speaking is not None and not self.speaking.finished:
            with self.speaking.game.evaluating() as speaker:
                return instruction_metrics.measure_speaker(speaker, self.split.held_out, self.device)
        with self.game.evaluating() as model:
            found = instruction_metrics.measure_instructions(model, self.split.held_out, self.device)
            of_words = found["word_nll"] if model.config.mask_share > 0 else 0.0
            self.consider(model, found["action_nll"] + of_words)
        return found

    def require_finite_model(self) -> None:
        game = self.game
        instruction_metrics.require_finite_instructions(game, game.model, self.split.held_out)
        if self.speaking is not None:
            self.speaking.game.require_finite()
            self.speaking.game.require_finite_weights()

    def files(self) -> Mapping[str, bytes]:
        return {name: text.encode() for name, text in self._texts().items()}

    def _texts(self) -> dict[str, str]:
        if self.speaking is None:
            return {}
        with self.speaking.game.evaluating() as speaker:
            return {INSTRUCTIONS: instruction_metrics.side_by_side(speaker, self.split.held_out, self.device)}

    def state_dict(self) -> dict[str, Any]:
        speaking = {} if self.speaking is None else {"speaker": self.speaking.state_dict()}
        return {**super().state_dict(), **speaking}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if self.speaking is not None:
            self.speaking.load_state_dict(state["speaker"])
            if self.speaking.finished:
                self._take_written()
        super().load_state_dict(state)

    def prints(self) -> Mapping[str, Mapping[str, Any]]:
        return self.split.prints

    def measure(self, model: InstructionModel) -> dict[str, Any]:
        found = {"data": self.split.name, **self.chosen(), "held_out_episodes": len(self.split.held_out)}
        found |= instruction_metrics.measure_instructions(model, self.split.held_out, self.device)
        if self.speaking is not None:
            with self.speaking.game.evaluating() as speaker:
                found |= instruction_metrics.measure_speaker(speaker, self.split.held_out, self.device)
        return {**found, **self._written()}

    def save(self, folder: RunFolder, model: InstructionModel) -> None:
        save_instruction_model(folder.path, model)
        if self.speaking is not None:
            with self.speaking.game.evaluating() as speaker:
                save_speaker(folder.path, speaker)

    def illustrate(self, folder: RunFolder, metrics: Metrics, model: InstructionModel) -> None:
        for name, text in self._texts().items():
            atomic_write(folder / name, text)


def rows_of(episodes: InstructedEpisodes, size: int, seed: int, device: torch.device) -> RowBatches:
    """Minibatches of the steps of episodes."""
    return RowBatches(*episodes.triplets(), size=size, seed=seed, device=device)
