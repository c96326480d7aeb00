"""Inverse autoregressive flow: parallel draws from a distribution whose numbers depend on those before them."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.nn.made import MADE
from rlgen.nn.precision import full_precision

Rows = Float[Tensor, "*batch Z"]
Context = Float[Tensor, "*some C"] | None
LogDet = Float[Tensor, "*batch"]


class InverseAutoregressiveStep(nn.Module):
    """z to σ z + (1 - σ) m, m and the gate σ = sigmoid(s) of each number from those before it and from the context.

    Kingma et al. 2016 (1606.04934), algorithm 1 and eq. 13 and 14, the numerically stable form. `backwards` turns the
    order of the numbers around, as every second step should. `initial_gate`: s at the start, at which a step changes
    little.
    """

    def __init__(
        self, size: int, hidden: Sequence[int], context: int = 0, backwards: bool = False, initial_gate: float = 2.0
    ):
        super().__init__()
        order = range(size)[::-1] if backwards else range(size)
        self.network = MADE(size, hidden, outputs=2, context=context, order=list(order), activation=nn.ELU)
        last = self.network.layers[-1]
        with torch.no_grad():
            last.bias.view(size, 2)[:, 1] += initial_gate  # type: ignore[operator, union-attr]

    def forward(self, z: Rows, context: Context = None) -> tuple[Rows, LogDet]:
        """What z becomes, and log |det of the Jacobian|."""
        shift, gate_logit = full_precision(self.network(z, context)).unbind(-1)
        return torch.lerp(shift, z, gate_logit.sigmoid()), F.logsigmoid(gate_logit).sum(-1)

    def inverse(self, moved: Rows, context: Context = None) -> tuple[Rows, LogDet]:
        """The z that becomes `moved`, and the log-determinant of `forward` there: one number after the other, so as
        many passes as numbers."""
        z = torch.zeros_like(moved)
        for known in range(moved.shape[-1]):
            shift, gate_logit = full_precision(self.network(z, context)).unbind(-1)
            gate = gate_logit.sigmoid()
            found = (moved - (1 - gate) * shift) / gate
            # Numbers whose turn has not come are wrong still, and might be infinite, which no mask stops.
            z = torch.where(self.network.position <= known, found, 0.0)
        return z, F.logsigmoid(gate_logit).sum(-1)
