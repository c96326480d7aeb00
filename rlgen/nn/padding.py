"""Rows of unequal lengths in one tensor."""

from collections.abc import Sequence

from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

PADDING = -1
"""What stands after the last token of a row that is shorter than others."""


def padded(rows: Sequence[Tensor]) -> Int[Tensor, "B T"]:
    """Rows of tokens, each followed by `PADDING` up to the length of the longest.

    >>> import torch
    >>> padded([torch.tensor([5, 6]), torch.tensor([7])])
    tensor([[ 5,  6],
            [ 7, -1]])
    """
    return pad_sequence(list(rows), batch_first=True, padding_value=PADDING)


def present(tokens: Int[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
    """Where the tokens are, rather than padding."""
    return tokens != PADDING


def without_padding(tokens: Int[Tensor, "B T"]) -> list[list[int]]:
    """The rows as lists."""
    return [[token for token in row if token != PADDING] for row in tokens.tolist()]
