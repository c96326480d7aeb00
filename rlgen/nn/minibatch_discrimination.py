"""How close a row is to the others of its batch, as features for a discriminator."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rlgen.nn.precision import full_precision


class MinibatchDiscrimination(nn.Module):
    """[B, F] to [B, F + kernels]: for every kernel the sum over the batch of exp(-|difference|₁) in a learned
    projection. Salimans et al. 2016 (1606.03498), section 3.2.

    Real and generated rows go through apart. Rows influence one another, so it goes with no gradient penalty, and not
    with batches of another size in evaluation.
    """

    def __init__(self, features: int, kernels: int, kernel_size: int):
        """`kernel_size`: numbers of a row's projection per kernel."""
        super().__init__()
        self.projection = nn.Parameter(torch.randn(features, kernels, kernel_size) / features**0.5)

    def forward(self, features: Float[Tensor, "B F"]) -> Float[Tensor, "B G"]:
        projected = full_precision(torch.einsum("bf,fkd->bkd", features, self.projection))
        distance = (projected[:, None] - projected[None]).abs().sum(-1)  # [B, B, kernels]
        return torch.cat([features, torch.exp(-distance).sum(1)], -1)
