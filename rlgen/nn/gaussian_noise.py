"""Noise between layers."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.errors import problem

Values = Float[Tensor, "*any"]


class GaussianNoise(nn.Module):
    """Adds N(0, std²) to every number in training, nothing in evaluation. Salimans et al. 2016 (1606.03498), section
    6.1: to the output of each layer of the discriminator; to its inputs too in the released code."""

    def __init__(self, std: float):
        super().__init__()
        if not 0 <= std < float("inf"):
            raise problem("a deviation of at least 0", f"{std}", "use 0 for no noise")
        self.std = std

    def forward(self, x: Values) -> Values:
        return x + self.std * torch.randn_like(x) if self.training and self.std else x

    def extra_repr(self) -> str:
        return f"{self.std}"
