"""Discrete values as inputs of a network."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class OneHot:
    """Maps K whole numbers per row, number k from 0 to counts[k] - 1, to ones and zeros, side by side.

    >>> OneHot((2, 3))(torch.tensor([[1.0, 0.0]]))
    tensor([[0., 1., 1., 0., 0.]])
    """

    counts: tuple[int, ...]

    @property
    def size(self) -> int:
        """Size of an encoded row, the sum of `counts`."""
        return sum(self.counts)

    def __call__(self, values: Tensor) -> Float[Tensor, "B size"]:
        """Values [B, ...] with K numbers per row."""
        columns = values.reshape(len(values), len(self.counts)).long().unbind(1)
        return torch.cat([F.one_hot(each, n) for each, n in zip(columns, self.counts, strict=True)], 1).float()
