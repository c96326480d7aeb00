"""Maxout: the largest of several linear functions of the input."""

from jaxtyping import Float
from torch import Tensor, nn


class Maxout(nn.Module):
    """[..., fan_in] to [..., fan_out], each output the maximum of `pieces` linear ones. Goodfellow et al. 2013
    (1302.4389), section 3."""

    def __init__(self, fan_in: int, fan_out: int, pieces: int):
        super().__init__()
        self.linear = nn.Linear(fan_in, fan_out * pieces)
        self.pieces = pieces

    def forward(self, x: Float[Tensor, "*batch I"]) -> Float[Tensor, "*batch O"]:
        return self.linear(x).unflatten(-1, (-1, self.pieces)).amax(-1)
