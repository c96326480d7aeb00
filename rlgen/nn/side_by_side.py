"""Two kinds of numbers in one row, each seen by a network of its own at first."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class SideBySide(nn.Module):
    """The first `split` numbers of a row through `left`, the others through `right`: [..., I] to [..., L + R]."""

    def __init__(self, split: int, left: nn.Module, right: nn.Module):
        super().__init__()
        self.split, self.left, self.right = split, left, right

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        return torch.cat([self.left(x[..., : self.split]), self.right(x[..., self.split :])], -1)
