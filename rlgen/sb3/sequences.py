"""Sequences of whole episodes, from which a recurrent policy is cloned."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import BaseModel
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from rlgen.data import observations as tree
from rlgen.data.pairs import ROWS_AT_ONCE, Pairs


@dataclass(frozen=True)
class Sequences:
    """S sequences of consecutive steps, with all earlier steps of their episodes. Rows of one sequence follow those of
    the one before."""

    observations: Any
    """[R, O], as in `Pairs`."""
    actions: Tensor
    """[R, A]."""
    lengths: list[int]
    """[S] steps, of sum R."""
    earlier: Any
    """[Q, O]: observations of the earlier steps."""
    earlier_lengths: list[int]
    """[S] earlier steps, of sum Q; 0 where a sequence starts with its episode."""

    def __len__(self) -> int:
        return len(self.actions)


@dataclass(frozen=True)
class Episodes:
    """Whole episodes whose rows are those of `pairs` between `starts` [E] and `starts` + `lengths` [E]."""

    pairs: Pairs
    starts: Tensor
    lengths: Tensor
    sequence: int
    """Steps of a sequence, the last one of an episode aside."""

    def __len__(self) -> int:
        return int(self.lengths.sum())

    def draw(self, rows: int) -> Sequences:
        """Random sequences of about as many rows in all, with probability proportional to their lengths."""
        ends = self.lengths.cumsum(0)
        drawn = torch.randint(len(self), (max(1, round(rows / self.sequence)),), device=ends.device)
        episode = torch.searchsorted(ends, drawn, right=True)
        step = drawn - (ends - self.lengths)[episode]
        first = step - step % self.sequence
        last = torch.minimum(first + self.sequence, self.lengths[episode])
        return self._sequences(episode.tolist(), first.tolist(), last.tolist())

    def batches(self) -> Iterator[Sequences]:
        """All rows, in sequences that are whole episodes, some at a time."""
        lengths, rows = self.lengths.tolist(), 0
        group: list[int] = []
        for number, length in enumerate(lengths):
            group, rows = [*group, number], rows + length
            if rows >= ROWS_AT_ONCE or number == len(lengths) - 1:
                yield self._sequences(group, [0] * len(group), [lengths[each] for each in group])
                group, rows = [], 0

    def _sequences(self, episodes: list[int], first: list[int], last: list[int]) -> Sequences:
        starts = self.starts[episodes].tolist()
        parts = [(start, start + f, start + n) for start, f, n in zip(starts, first, last, strict=True)]
        of_earlier, of_rows = (
            torch.cat([torch.arange(low, high, device=self.pairs.device) for low, high in spans])
            for spans in ([part[:2] for part in parts], [part[1:] for part in parts])
        )
        rows = self.pairs[of_rows]
        return Sequences(
            observations=rows.observations,
            actions=rows.actions,
            lengths=[high - low for _, low, high in parts],
            earlier=tree.take(self.pairs.observations, of_earlier),
            earlier_lengths=first,
        )


def recurrent_distribution(policy: Any, batch: Sequences, inputs: Callable[[Any], Any]) -> Distribution:
    """Distribution of the actions in every row. The memory at the start of a sequence is that of the policy after the
    earlier steps, without a gradient (truncated backpropagation through time, Williams & Peng 1990).

    Args:
        policy: a RecurrentActorCriticPolicy of sb3-contrib.
        batch: its rows.
        inputs: map from observations to the policy's inputs.
    """
    memory = _memory(policy, batch, inputs)
    outputs, _ = policy.lstm_actor(_padded(_features(policy, inputs(batch.observations)), batch.lengths), memory)
    latent = torch.cat([outputs[:length, number] for number, length in enumerate(batch.lengths)])
    return policy._get_action_dist_from_latent(policy.mlp_extractor.forward_actor(latent))


@torch.no_grad()
def _memory(policy: Any, batch: Sequences, inputs: Callable[[Any], Any]) -> tuple[Tensor, Tensor]:
    """The LSTM's state [layers, S, H] and cell state after the earlier steps; zero without any."""
    layers, _, width = policy.lstm_hidden_state_shape
    memory = [batch.actions.new_zeros(layers, len(batch.lengths), width) for _ in range(2)]
    some = [number for number, length in enumerate(batch.earlier_lengths) if length]
    if some:
        lengths = [batch.earlier_lengths[number] for number in some]
        padded = _padded(_features(policy, inputs(batch.earlier)), lengths)
        _, state = policy.lstm_actor(pack_padded_sequence(padded, torch.tensor(lengths), enforce_sorted=False))
        for kept, found in zip(memory, state, strict=True):
            kept[:, some] = found
    return memory[0], memory[1]


def _features(policy: Any, observations: Any) -> Tensor:
    """[R, F]."""
    return BaseModel.extract_features(policy, observations, policy.pi_features_extractor)


def _padded(features: Tensor, lengths: list[int]) -> Tensor:
    """[longest, S, F]: the rows of each sequence, followed by zeros."""
    return pad_sequence(features.split(lengths))
