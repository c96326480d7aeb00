"""Episodes of tasks with instructions, as numbers that models of instructions read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rlgen.data.demonstrations import Demonstrations
from rlgen.data.shuffled import Shuffled
from rlgen.data.validation import recorded_bounds
from rlgen.data.words import MOST_WORDS, NOTED, WORDS
from rlgen.errors import problem
from rlgen.generators.instruction_model import CELLS, VIEW
from rlgen.nn.cross_modal import CODES, DIRECTIONS, NO_WORD
from rlgen.nn.padding import PADDING

ENTRIES = {"image": CELLS, "direction": 1, "mission": None}
"""Entries of an observation and their numbers: codes of cells, a direction, and words, in any number."""


@dataclass(frozen=True)
class InstructedEpisodes:
    """E whole episodes of R steps in all. Numbers are int16 to be small; `RowBatches` makes them int64."""

    seen: Int[Tensor, "R V"]
    """Codes of the cells and the direction before each action."""
    actions: Int[Tensor, " R"]
    last: Int[Tensor, "E V"]
    """What is seen after the last action of each episode."""
    words: Int[Tensor, "E L"]
    """Instruction of each episode, 0 after its last word."""
    lengths: Int[Tensor, " E"]
    """Steps of each episode."""
    n_actions: int
    """Number of actions of the task."""
    vocabulary: tuple[str, ...] = WORDS
    """All words of the task's instructions, by their numbers."""

    @classmethod
    def of(cls, demonstrations: Demonstrations) -> "InstructedEpisodes":
        """The episodes of demonstrations. Raises `InputError` unless they are whole episodes with views, directions and
        instructions, and discrete actions."""
        demonstrations.require_whole("a model of instructions")
        source, observed = demonstrations.source, demonstrations.observations
        sizes = {name: int(np.prod(each.shape[1:])) for name, each in _entries(observed).items()}
        if sizes.keys() != ENTRIES.keys() or any(sizes[name] != size for name, size in ENTRIES.items() if size):
            got = f"{', '.join(f'{name} of {size}'.strip() for name, size in sizes.items())} numbers in {source}"
            remedy = "record them in a task of BabyAI or MiniGrid, with its usual view of 7 x 7 cells"
            raise problem(f"an image of {CELLS} codes, a direction and a mission of words", got, remedy)
        _require_known(demonstrations)
        ends = np.cumsum(demonstrations.episode_lengths) - 1
        after = demonstrations.next_observations
        assert isinstance(after, dict)
        seen, last = (
            _views({name: each[rows] for name, each in some.items()})
            for some, rows in ((_entries(observed), slice(None)), (after, ends))
        )
        words = torch.from_numpy(np.asarray(_entries(observed)["mission"])[ends].astype(np.int16))
        actions = torch.from_numpy(demonstrations.actions[:, 0].astype(np.int16))
        lengths = torch.tensor(demonstrations.episode_lengths)
        return cls(seen, actions, last, words, lengths, _n_actions(demonstrations), _vocabulary(demonstrations))

    def __len__(self) -> int:
        return len(self.lengths)

    def part(self, episodes: Int[Tensor, " P"]) -> "InstructedEpisodes":
        """These episodes, by their numbers."""
        rows = torch.cat([torch.empty(0, dtype=torch.int64), *(self._rows[int(each)] for each in episodes)])
        by_episode = {name: getattr(self, name)[episodes] for name in ("last", "words", "lengths")}
        return replace(self, seen=self.seen[rows], actions=self.actions[rows], **by_episode)

    def with_words(self, words: Int[Tensor, "E L"]) -> "InstructedEpisodes":
        """The same episodes with other instructions."""
        return replace(self, words=words.to(self.words.dtype))

    def without(self, others: "InstructedEpisodes") -> "InstructedEpisodes":
        """The episodes that have other steps than each of `others`, whatever their instructions."""
        known = set(others._steps)
        return self.part(torch.tensor([number for number, each in enumerate(self._steps) if each not in known]).long())

    def triplets(self) -> tuple[Int[Tensor, "R N"], Int[Tensor, " R"]]:
        """What is seen with the instruction, and the action, of each step."""
        return torch.cat([self.seen, self.words.repeat_interleave(self.lengths, 0)], 1), self.actions

    def trajectories(self) -> Int[Tensor, "E T N"]:
        """What a `Speaker` reads: the steps of each episode, and what is seen at its end with a last action that no
        task has."""
        numbered = torch.cat([self.seen, self.actions[:, None]], 1)
        end = torch.tensor([self.n_actions], dtype=numbered.dtype)
        whole = [
            torch.cat([numbered[rows], torch.cat([last, end])[None]])
            for rows, last in zip(self._rows, self.last, strict=True)
        ]
        padded = pad_sequence(whole, batch_first=True)
        steps = torch.arange(padded.shape[1])
        padded[..., VIEW].masked_fill_(steps > self.lengths[:, None], PADDING)
        return padded

    @property
    def _steps(self) -> list[bytes]:
        """What is seen and done in each episode, as keys."""
        numbered = torch.cat([self.seen, self.actions[:, None]], 1)
        return [numbered[rows].numpy().tobytes() for rows in self._rows]

    @property
    def _rows(self) -> list[Tensor]:
        """Numbers of the rows of each episode."""
        return list(torch.arange(len(self.seen)).split(self.lengths.tolist()))


def joined(parts: Sequence[InstructedEpisodes]) -> InstructedEpisodes:
    """All episodes of some, as of a task with the largest of their numbers of actions."""
    longest = max(part.words.shape[1] for part in parts)
    words = [torch.nn.functional.pad(part.words, (0, longest - part.words.shape[1])) for part in parts]
    rest = {name: torch.cat([getattr(part, name) for part in parts]) for name in ("seen", "actions", "last", "lengths")}
    actions = max(part.n_actions for part in parts)
    return InstructedEpisodes(words=torch.cat(words), n_actions=actions, vocabulary=parts[0].vocabulary, **rest)


class RowBatches:
    """Endless minibatches of rows [B, ...] and what is predicted of them [B, ...], int64 on `device`, in a new random
    order each epoch (`Shuffled`)."""

    def __init__(self, rows: Tensor, predicted: Tensor, size: int, seed: int = 0, device: Any = None):
        self.rows, self.predicted, self.size, self.seed, self.device = rows, predicted, size, seed, device
        self.shuffled = Shuffled(len(rows), size, seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        chosen = self.shuffled.draw()
        return self.rows[chosen].to(self.device).long(), self.predicted[chosen].to(self.device).long()

    def state_dict(self) -> dict[str, Any]:
        return self.shuffled.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues a stream over as many rows."""
        self.shuffled.load_state_dict(state)


def _entries(observed: Any) -> dict[str, Any]:
    return dict(observed) if isinstance(observed, dict) else {"vectors": observed}


def _views(observed: dict[str, Any]) -> Int[Tensor, "R V"]:
    """Codes of the cells and directions."""
    parts = [np.asarray(observed[name]).reshape(len(observed[name]), -1) for name in ("image", "direction")]
    return torch.from_numpy(np.concatenate([part.astype(np.int16) for part in parts], 1))


def _require_known(demonstrations: Demonstrations) -> None:
    """Raises `InputError` for codes and words that models do not know."""
    source, metadata, observed = demonstrations.source, demonstrations.metadata, _entries(demonstrations.observations)
    words = metadata.get(NOTED, list(WORDS))
    if not isinstance(words, list) or tuple(words[: len(WORDS)]) != WORDS or len(words) > MOST_WORDS:
        raise problem("instructions in the words of rlgen.data.words", f"others in {source}", "record them again")
    cells = np.asarray(observed["image"]).reshape(len(demonstrations), -1, len(CODES))
    limits = {"image": np.array(CODES), "direction": DIRECTIONS, "mission": len(words)}
    for name, limit in limits.items():
        numbers = cells if name == "image" else np.asarray(observed[name])
        if (numbers < 0).any() or (numbers >= limit).any():
            got = f"others under {name!r} in {source}"
            raise problem("the codes of MiniGrid and numbers of words", got, "record them in a task of MiniGrid")
    padded = np.asarray(observed["mission"]) == NO_WORD
    if (padded[:, :-1] & ~padded[:, 1:]).any():
        raise problem("padding after the last word alone", f"words after padding in {source}", "record them again")


def _vocabulary(demonstrations: Demonstrations) -> tuple[str, ...]:
    """The words that the demonstrations note, after those of `WORDS` the task's own."""
    return tuple(map(str, demonstrations.metadata.get(NOTED, WORDS)))


def _n_actions(demonstrations: Demonstrations) -> int:
    """The number of discrete actions: that of the recorded space, or of the largest action."""
    actions = demonstrations.actions
    if actions.shape[1] != 1 or not (np.equal(actions, np.round(actions)) & (actions >= 0)).all():
        got = f"{actions.shape[1]} action dimensions in {demonstrations.source}"
        raise problem("one discrete action per step", got, "record them in a task with discrete actions")
    bounds = recorded_bounds(demonstrations)
    return int(max(actions.max(), 1.0 if bounds is None else bounds[1][0])) + 1
