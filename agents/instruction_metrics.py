"""The metrics of a model of instructions and of a speaker, on episodes that they have not learned."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rlgen.data.instructed_episodes import InstructedEpisodes
from rlgen.data.words import decode
from rlgen.display import Metric, Panel
from rlgen.generators.instruction_model import VIEW, InstructionModel
from rlgen.generators.speaker import GREEDY, Speaker, ended, written
from rlgen.generators.text_sampling import Sampling
from rlgen.generators.trainer import Diverged, Trainer
from rlgen.nn.cross_modal import NO_WORD

PANELS = (
    Panel(
        "Held out",
        (
            Metric("evaluation/word_accuracy", "words, each hidden alone"),
            Metric("evaluation/action_accuracy", "actions"),
        ),
        limits=(0, 1),
    ),
)
"""Panels of the metrics of evaluations during the training."""
RESULTS = (
    Metric("action_accuracy", "actions, held out", share=True),
    Metric("word_accuracy", "words, each hidden alone, held out", share=True),
    Metric("action_nll", "action loss, held out", "nats"),
    Metric("word_nll", "loss of a hidden word, held out", "nats"),
    Metric("speaker_accuracy", "words of the speaker, held out", share=True),
    Metric("speaker_exact", "whole instructions of the speaker, held out", share=True),
    Metric("written", "instructions that the speaker wrote"),
    Metric("written_exact", "those that equal the true ones", share=True),
    Metric("written_words", "their words that are the true ones", share=True),
    Metric("parameters", "size", "parameters"),
)
"""Metrics of the finished model that reports show first."""
AT_ONCE = 256
"""Rows or trajectories that are evaluated at a time."""
SHOWN = 12
"""Held-out episodes whose instruction and that of the speaker are shown."""


@torch.no_grad()
def measure_instructions(model: InstructionModel, held_out: InstructedEpisodes, device: Any) -> dict[str, float]:
    """Metrics by name: loss and accuracy of the actions given whole instructions, and of the words, each of which is
    hidden alone."""
    by_row, by_word = [], []
    for rows, actions in _batches(device, *held_out.triplets()):
        by_row.append(_scores(model.action_logits(model.features(rows)), actions))
    for rows, places, words in _batches(device, *_each_hidden(held_out, model.network.mask)):
        logits = model.word_logits(model.features(rows))
        by_word.append(_scores(logits[torch.arange(len(rows), device=device), places], words))
    found: dict[str, float] = {}
    for name, scores in (("action", by_row), ("word", by_word)):
        nll, accuracy = torch.cat(scores).mean(0).tolist()
        found |= {f"{name}_nll": nll, f"{name}_accuracy": accuracy}
    return found


@torch.no_grad()
def measure_speaker(speaker: Speaker, held_out: InstructedEpisodes, device: Any) -> dict[str, float]:
    """Metrics by name: loss and accuracy of each word, and of the end, given those before, and the share of whole
    instructions that are written as they were given."""
    by_word, whole = [], []
    for steps, words in _batches(device, held_out.trajectories(), held_out.words):
        logits = speaker.logits(speaker.started(words), *speaker.encode(steps))
        by_word.append(_scores(logits.flatten(0, 1), ended(words).flatten())[written(words).flatten()])
        whole.append((speaker.write(steps) == _fitted(words, speaker.length)).all(1))
    nll, accuracy = torch.cat(by_word).mean(0).tolist()
    exact = torch.cat(whole).double().mean().item()
    return {"speaker_nll": nll, "speaker_accuracy": accuracy, "speaker_exact": exact}


def write_instructions(speaker: Speaker, episodes: InstructedEpisodes, sampling: Sampling, device: Any) -> Tensor:
    """The instruction [E, L] that the speaker writes for each episode."""
    found = [speaker.write(steps, sampling).cpu() for (steps,) in _batches(device, episodes.trajectories())]
    return torch.cat(found).clone()  # tensors of inference mode cannot be saved for a gradient


def side_by_side(speaker: Speaker, held_out: InstructedEpisodes, device: Any) -> str:
    """The instructions of some held-out episodes, each with what the speaker writes."""
    shown = held_out.part(torch.arange(min(SHOWN, len(held_out))))
    pairs = zip(shown.words.tolist(), write_instructions(speaker, shown, GREEDY, device).tolist(), strict=True)
    texts = ([decode(words, shown.vocabulary) for words in pair] for pair in pairs)
    return "\n\n".join("\n→ ".join(pair) for pair in texts) + "\n"


def agreement(wrote: Tensor, true: Tensor) -> dict[str, float]:
    """Shares of the instructions [E, L] that the speaker wrote as the true ones, and of the words of the true ones."""
    longest = max(wrote.shape[1], true.shape[1])
    same = _fitted(wrote, longest) == _fitted(true, longest)
    words = _fitted(true, longest) != NO_WORD
    return {"written_exact": same.all(1).double().mean().item(), "written_words": same[words].double().mean().item()}


def require_finite_instructions(game: Trainer[Any], model: InstructionModel, held_out: InstructedEpisodes) -> None:
    """Raises `Diverged` if losses, weights or the logits of some held-out rows are not finite."""
    game.require_finite()
    game.require_finite_weights()
    rows = held_out.triplets()[0][:AT_ONCE].to(game.device).long()
    with game.evaluating(), torch.no_grad():
        if not bool(model.action_logits(model.features(rows)).isfinite().all()):
            raise Diverged(game.step, "logits of the model")


def _each_hidden(episodes: InstructedEpisodes, mask: int) -> tuple[Tensor, Tensor, Tensor]:
    """Rows in each of which another word is hidden, the place of that word, and the word."""
    rows, _ = episodes.triplets()
    number, places = (rows[:, VIEW:] != NO_WORD).nonzero(as_tuple=True)
    hidden, each = rows[number].clone(), torch.arange(len(number))
    words = hidden[each, VIEW + places].clone()
    hidden[each, VIEW + places] = mask
    return hidden, places, words


def _scores(logits: Tensor, expected: Tensor) -> Tensor:
    """[B, 2]: -log p of the expected values, nats, and whether they are the most probable ones."""
    nll = F.cross_entropy(logits, expected, reduction="none")
    return torch.stack([nll, (logits.argmax(-1) == expected).float()], 1).double()


def _fitted(words: Tensor, length: int) -> Tensor:
    """The words with padding up to a length."""
    return F.pad(words, (0, length - words.shape[1]), value=NO_WORD)


def _batches(device: Any, *columns: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """All rows of the columns, int64 on `device`, some at a time."""
    for some in zip(*(each.split(AT_ONCE) for each in columns), strict=True):
        yield tuple(each.to(device).long() for each in some)
